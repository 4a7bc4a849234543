// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!K = !optim.key<"threefry2x32">

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @none = []

// GENERIC-LABEL: sym_name = "normal"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.random"(%key) <{distribution = #optim.distribution<normal>, parts = array<i64: 2, 0>, total = 3 : i64}> : (!optim.key<"threefry2x32">) -> !optim.tree<bf16, @all>
// CHECK-LABEL: func.func @normal
// CHECK-NEXT:    %0 = optim.random <normal> %key [2, 0] of 3 : !optim.key<"threefry2x32"> -> !optim.tree<bf16, @all>
func.func @normal(%key: !K) -> !optim.tree<bf16, @all> {
  %0 = optim.random <normal> %key [2, 0] of 3 : !K -> !optim.tree<bf16, @all>
  func.return %0 : !optim.tree<bf16, @all>
}

// CHECK-LABEL: func.func @no_leaf
// CHECK-NEXT:    %0 = optim.random <normal> %key [] of 2 : !optim.key<"threefry2x32"> -> !optim.tree<f32, @none>
func.func @no_leaf(%key: !K) -> !optim.tree<f32, @none> {
  %0 = optim.random <normal> %key [] of 2 : !K -> !optim.tree<f32, @none>
  func.return %0 : !optim.tree<f32, @none>
}
