// The pipeline leaves a module alone that went through it before.
// RUN: optcc opt %s -p update | optcc opt - -p update | filecheck %s

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4]]

// CHECK:          optim.sweep ins() outs(%{{.*}} = %g : !optim.tree<f32, @all>)
// CHECK-NOT:      optim.sweep
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}) -> (!T {optim.slot = #optim.slot<updates>}) {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.addf %x, %x : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}
