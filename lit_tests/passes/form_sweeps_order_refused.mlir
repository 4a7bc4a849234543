// form-sweeps takes the order of the levels, and refuses another.
// RUN: not optcc opt %s -p form-sweeps 2>&1 | filecheck %s
// RUN: optcc opt %s -p schedule-levels | filecheck %s --check-prefix SORTED

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: the ops of @late_scalar are not in the order of their levels: run schedule-levels first

// The quotient of constants comes before the map over elements of its level, the map that reads the norm behind it.
// SORTED-LABEL: func.func @late_scalar(
// SORTED-NEXT:    arith.constant
// SORTED-NEXT:    arith.addf
// SORTED-NEXT:    %n = optim.map
// SORTED:         %new = optim.map
func.func @late_scalar(%g: !T, %c: f32) -> (!T) {
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %one = arith.constant 1.0 : f32
  %d = arith.addf %c, %one : f32
  %e = optim.map over @all (%x = %g : !T, %y = %d : f32) -> (f32 by <add>) {
    %0 = arith.mulf %x, %y : f32
    optim.yield %0 : f32
  }
  %new = optim.map over @all (%x = %g : !T, %y = %n : f32, %z = %e : f32) -> (!T) {
    %0 = arith.mulf %x, %y : f32
    %1 = arith.mulf %0, %z : f32
    optim.yield %1 : f32
  }
  func.return %new : !T
}
