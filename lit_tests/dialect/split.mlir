// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4], "scale" : []]
optim.leaves @decay = ["w" : [3, 4]]
optim.leaves @rest = ["scale" : [], "b" : [4]]
optim.leaves @none = []

// GENERIC-LABEL: sym_name = "two_parts"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.split"(%g) : (!optim.tree<f32, @all>) -> (!optim.tree<f32, @decay>, !optim.tree<f32, @rest>)
// CHECK-LABEL: func.func @two_parts
// CHECK-NEXT:    %0, %1 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @decay>, !optim.tree<f32, @rest>
func.func @two_parts(%g: !T) -> (!optim.tree<f32, @decay>, !optim.tree<f32, @rest>) {
  %0, %1 = optim.split %g : !T -> !optim.tree<f32, @decay>, !optim.tree<f32, @rest>
  func.return %0, %1 : !optim.tree<f32, @decay>, !optim.tree<f32, @rest>
}

// CHECK-LABEL: func.func @per_leaf_integers
// CHECK-NEXT:    %0, %1 = optim.split %g : !optim.tree<i32, @all, per_leaf> -> !optim.tree<i32, @rest, per_leaf>, !optim.tree<i32, @decay, per_leaf>
func.func @per_leaf_integers(%g: !optim.tree<i32, @all, per_leaf>) {
  %0, %1 = optim.split %g : !optim.tree<i32, @all, per_leaf>
      -> !optim.tree<i32, @rest, per_leaf>, !optim.tree<i32, @decay, per_leaf>
  func.return
}

// One part may be everything, and one nothing.
// CHECK-LABEL: func.func @all_and_none
// CHECK-NEXT:    %0, %1 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @all>, !optim.tree<f32, @none>
func.func @all_and_none(%g: !T) {
  %0, %1 = optim.split %g : !T -> !T, !optim.tree<f32, @none>
  func.return
}

optim.leaves @axes = ["w" : [3, 4] {rows = [0]}, "b" : [4] {rows = []}]
optim.leaves @axes_w = ["w" : [3, 4] {rows = [0]}]
optim.leaves @axes_b = ["b" : [4] {rows = []}]

// CHECK-LABEL: func.func @axis_extents
// CHECK-NEXT:    %0, %1 = optim.split %r : !optim.tree<f32, @axes, rows> -> !optim.tree<f32, @axes_w, rows>, !optim.tree<f32, @axes_b, rows>
// CHECK-NEXT:    %2 = optim.join %1, %0 : !optim.tree<f32, @axes_b, rows>, !optim.tree<f32, @axes_w, rows> -> !optim.tree<f32, @axes, rows>
func.func @axis_extents(%r: !optim.tree<f32, @axes, rows>) -> !optim.tree<f32, @axes, rows> {
  %0, %1 = optim.split %r : !optim.tree<f32, @axes, rows>
      -> !optim.tree<f32, @axes_w, rows>, !optim.tree<f32, @axes_b, rows>
  %2 = optim.join %1, %0 : !optim.tree<f32, @axes_b, rows>, !optim.tree<f32, @axes_w, rows> -> !optim.tree<f32, @axes, rows>
  func.return %2 : !optim.tree<f32, @axes, rows>
}
