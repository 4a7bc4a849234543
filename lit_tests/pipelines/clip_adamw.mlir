// RUN: optcc opt %s -p step --verify-each | filecheck %s

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// The global norm needs a pass of its own, which writes nothing but a scalar. The clipped gradients are in no memory.
// CHECK-LABEL: func.func @update(
// CHECK:         %[[SUM:.*]] = optim.sweep ins(%{{.*}} = %g : !optim.tree<f32, @all>) outs() -> (f32) {
// CHECK-NEXT:      optim.map over @all (%{{.*}} = %{{.*}} : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK:           optim.yield {{.*}} : f32
// CHECK:         math.sqrt %[[SUM]] : f32
// CHECK-NOT:     optim.map
// CHECK:         optim.sweep ins({{[^()]*}}) outs(%{{.*}} = %mu : !optim.tree<f32, @all>, %{{.*}} = %nu : !optim.tree<f32, @all>, %{{.*}} = %p : !optim.tree<f32, @all>)
// CHECK-NEXT:      optim.map over @all
// CHECK-NOT:     optim.map
// CHECK-NOT:     optim.sweep
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}, %nu: !T {optim.slot = #optim.slot<state ["nu"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["mu"]>}, !T {optim.slot = #optim.slot<state ["nu"]>}) {
  %max_norm = optim.hyper "0.max_norm" = 1.0 : f32
  %b1 = optim.hyper "1.b1" = 0.9 : f32
  %b2 = optim.hyper "1.b2" = 0.999 : f32
  %decay = optim.hyper "1.weight_decay" = 1.0e-4 : f32
  %lr = optim.hyper "1.learning_rate" = -1.0e-3 : f32

  // clip by global norm
  %gg = optim.map over @all (%x = %g : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %sum = optim.reduce <add> %gg : !T -> f32
  %norm = math.sqrt %sum : f32
  %small = arith.cmpf olt, %norm, %max_norm : f32
  %scaled = optim.map over @all (%x = %g : !T, %n = %norm : f32, %k = %max_norm : f32) -> (!T) {
    %0 = arith.divf %x, %n : f32
    %1 = arith.mulf %0, %k : f32
    optim.yield %1 : f32
  }
  %clipped = optim.map over @all (%c = %small : i1, %x = %g : !T, %y = %scaled : !T) -> (!T) {
    %0 = arith.select %c, %x, %y : f32
    optim.yield %0 : f32
  }

  // adam, without bias correction
  %mu_new = optim.map over @all (%x = %clipped : !T, %m = %mu : !T, %b = %b1 : f32) -> (!T) {
    %0 = arith.subf %x, %m : f32
    %1 = arith.mulf %b, %0 : f32
    %2 = arith.subf %x, %1 : f32
    optim.yield %2 : f32
  }
  %sq = optim.map over @all (%x = %clipped : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %nu_new = optim.map over @all (%x = %sq : !T, %n = %nu : !T, %b = %b2 : f32) -> (!T) {
    %0 = arith.subf %x, %n : f32
    %1 = arith.mulf %b, %0 : f32
    %2 = arith.subf %x, %1 : f32
    optim.yield %2 : f32
  }
  %u = optim.map over @all (%m = %mu_new : !T, %n = %nu_new : !T) -> (!T) {
    %0 = math.sqrt %n : f32
    %1 = arith.divf %m, %0 : f32
    optim.yield %1 : f32
  }

  // weight decay and learning rate
  %w = optim.map over @all (%x = %u : !T, %y = %p : !T, %d = %decay : f32, %l = %lr : f32) -> (!T) {
    %0 = arith.mulf %d, %y : f32
    %1 = arith.addf %x, %0 : f32
    %2 = arith.mulf %l, %1 : f32
    optim.yield %2 : f32
  }
  func.return %w, %mu_new, %nu_new : !T, !T, !T
}
