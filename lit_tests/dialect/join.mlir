// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!D = !optim.tree<f32, @decay>
!R = !optim.tree<f32, @rest>

optim.leaves @all = ["w" : [3, 4], "b" : [4], "scale" : []]
optim.leaves @decay = ["w" : [3, 4]]
optim.leaves @rest = ["scale" : [], "b" : [4]]

// GENERIC-LABEL: sym_name = "two_parts"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.join"(%a, %b) : (!optim.tree<f32, @decay>, !optim.tree<f32, @rest>) -> !optim.tree<f32, @all>
// CHECK-LABEL: func.func @two_parts
// CHECK-NEXT:    %0 = optim.join %a, %b : !optim.tree<f32, @decay>, !optim.tree<f32, @rest> -> !optim.tree<f32, @all>
func.func @two_parts(%a: !D, %b: !R) -> !optim.tree<f32, @all> {
  %0 = optim.join %a, %b : !D, !R -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// CHECK-LABEL: func.func @per_leaf
// CHECK-NEXT:    %0 = optim.join %b, %a : !optim.tree<f32, @rest, per_leaf>, !optim.tree<f32, @decay, per_leaf> -> !optim.tree<f32, @all, per_leaf>
func.func @per_leaf(%a: !optim.tree<f32, @decay, per_leaf>, %b: !optim.tree<f32, @rest, per_leaf>) {
  %0 = optim.join %b, %a : !optim.tree<f32, @rest, per_leaf>, !optim.tree<f32, @decay, per_leaf>
      -> !optim.tree<f32, @all, per_leaf>
  func.return
}
