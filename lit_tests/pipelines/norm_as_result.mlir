// One sweep: step-level arithmetic on a sum does not put an update behind it that does not need it.
// RUN: optcc opt %s -p step | filecheck %s

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4]]

// The gradient norm is only reported, so one pass over memory is enough.
// CHECK-LABEL: func.func @update(
// CHECK:         optim.sweep
// CHECK:         math.sqrt
// CHECK-NOT:     optim.sweep
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<updates>}, f32 {optim.slot = #optim.slot<state ["norm"]>}) {
  %sum = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %norm = math.sqrt %sum : f32
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %0 = arith.negf %x : f32
    optim.yield %0 : f32
  }
  func.return %u, %norm : !T, f32
}
