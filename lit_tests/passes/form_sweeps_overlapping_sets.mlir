// Two maps of one level over sets that share a leaf get sweeps of their own (C2 of sweep).
// RUN: optcc opt %s -p schedule-levels,form-sweeps | filecheck %s

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @overlapping_sets
// CHECK-COUNT-2: optim.sweep
func.func @overlapping_sets(%g: !optim.tree<f32, @all>, %h: !optim.tree<f32, @b>) -> (f32, f32) {
  %0 = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %1 = optim.map over @b (%x = %h : !optim.tree<f32, @b>) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %0, %1 : f32, f32
}
