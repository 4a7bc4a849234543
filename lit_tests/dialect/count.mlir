// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

optim.leaves @all = ["w" : [3, 4] {rows = [0], rows.heads = []}, "b" : [4] {rows = [], rows.heads = []}]

// GENERIC-LABEL: sym_name = "extents"
// GENERIC:         "optim.count"() <{extent = #optim.extent<rows>}> : () -> !optim.tree<f32, @all, per_leaf>
// CHECK-LABEL: func.func @extents
// CHECK-NEXT:    %0 = optim.count per rows : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:    %1 = optim.count per rows.heads : !optim.tree<bf16, @all, per_leaf>
// CHECK-NEXT:    %2 = optim.count per per_leaf : !optim.tree<f64, @all, per_leaf>
// CHECK-NEXT:    %3 = optim.count per elements : !optim.tree<f32, @all, per_leaf>
func.func @extents() {
  %0 = optim.count per rows : !optim.tree<f32, @all, per_leaf>
  %1 = optim.count per rows.heads : !optim.tree<bf16, @all, per_leaf>
  %2 = optim.count per per_leaf : !optim.tree<f64, @all, per_leaf>
  %3 = optim.count per elements : !optim.tree<f32, @all, per_leaf>
  func.return
}
