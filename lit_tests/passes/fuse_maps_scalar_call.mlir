// A call on scalars stays in front of the map that uses its result.
// RUN: optcc opt %s -p fuse-maps | filecheck %s

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4]]

// CHECK-LABEL: func.func @call_of_a_computed_scalar
// CHECK:         %lr = optim.call
// CHECK-NEXT:    %u = optim.map
func.func @call_of_a_computed_scalar(%g: !T, %count: i32) -> !T {
  %one = arith.constant 1 : i32
  %next = arith.addi %count, %one : i32
  %lr = optim.call "schedule"(%next) : (i32) -> f32
  %u = optim.map over @all (%x = %g : !T, %s = %lr : f32) -> (!T) {
    %y = arith.mulf %x, %s : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}
