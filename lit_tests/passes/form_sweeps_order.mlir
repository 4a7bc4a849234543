// The sweep is put where all its operands are there and nobody has used its results yet.
// RUN: optcc opt %s -p schedule-levels,form-sweeps | filecheck %s

optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @use_between_two_maps
// CHECK-NOT:     optim.call
// CHECK:         optim.sweep
func.func @use_between_two_maps(%g: !optim.tree<f32, @a>, %h: !optim.tree<f32, @b>) -> (f32, f32) {
  %u = optim.map over @a (%x = %g : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %0 = optim.call "f"(%u) : (!optim.tree<f32, @a>) -> f32
  %1 = optim.map over @b (%x = %h : !optim.tree<f32, @b>) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %0, %1 : f32, f32
}
