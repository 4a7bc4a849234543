// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!S = !optim.tree<f32, @scales>

optim.leaves @scales = ["0" : [2], "1" : []]
optim.leaves @none = []

// GENERIC-LABEL: sym_name = "packed"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.pack"(%a, %b, %b) : (f32, f32, f32) -> !optim.tree<f32, @scales>
// CHECK-LABEL: func.func @packed
// CHECK-NEXT:    %0 = optim.pack %a, %b, %b : f32, f32, f32 -> !optim.tree<f32, @scales>
func.func @packed(%a: f32, %b: f32) -> !S {
  %0 = optim.pack %a, %b, %b : f32, f32, f32 -> !S
  func.return %0 : !S
}

// CHECK-LABEL: func.func @a_value_for_each_leaf
// CHECK-NEXT:    %0 = optim.pack %a, %b : i32, i32 -> !optim.tree<i32, @scales, per_leaf>
func.func @a_value_for_each_leaf(%a: i32, %b: i32) -> !optim.tree<i32, @scales, per_leaf> {
  %0 = optim.pack %a, %b : i32, i32 -> !optim.tree<i32, @scales, per_leaf>
  func.return %0 : !optim.tree<i32, @scales, per_leaf>
}
