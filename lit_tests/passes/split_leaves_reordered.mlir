// A set with the same leaves in another order is a set of its own.
// RUN: optcc opt %s -p split-leaves | filecheck %s

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @reordered = ["b" : [4], "w" : [3, 4]]

// CHECK-LABEL: func.func @one_part_in_another_order
// CHECK:         func.return %{{.*}} : !optim.tree<f32, @reordered>
func.func @one_part_in_another_order(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @reordered> {
  %0 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @reordered>
  func.return %0 : !optim.tree<f32, @reordered>
}
