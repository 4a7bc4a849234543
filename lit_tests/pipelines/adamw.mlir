// RUN: optcc opt %s -p step --verify-each | filecheck %s
// RUN: optcc opt %s -p update --verify-each | filecheck %s --check-prefix=UPDATE

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// AdamW is one pass over memory, which reads the gradients, mu, nu and the parameters and overwrites the last three.
// CHECK-LABEL: func.func @update_hyperparameters() -> (f32, f32, f32, f32, f32, f32, f32)
// CHECK-LABEL: func.func @update(
// CHECK-NOT:     optim.hyper
// CHECK:         optim.sweep ins({{[^()]*}}) outs(%{{.*}} = %mu : !optim.tree<f32, @all>, %{{.*}} = %nu : !optim.tree<f32, @all>, %{{.*}} = %p : !optim.tree<f32, @all>)
// CHECK:           optim.map over @all ({{.*}}) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NOT:     optim.map
// CHECK-NOT:     optim.sweep
// CHECK:         func.return %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : !optim.tree<f32, @all>, i32, !optim.tree<f32, @all>, !optim.tree<f32, @all>

// Without `apply-updates` the updates replace the gradients.
// UPDATE-LABEL: func.func @update(
// UPDATE:         optim.sweep ins({{[^()]*}}) outs(%{{.*}} = %mu : !optim.tree<f32, @all>, %{{.*}} = %nu : !optim.tree<f32, @all>, %{{.*}} = %g : !optim.tree<f32, @all>)
// UPDATE-NOT:     optim.sweep
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}, %count: i32 {optim.slot = #optim.slot<state ["count"]>}, %mu: !T {optim.slot = #optim.slot<state ["mu"]>},
                  %nu: !T {optim.slot = #optim.slot<state ["nu"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<updates>}, i32 {optim.slot = #optim.slot<state ["count"]>}, !T {optim.slot = #optim.slot<state ["mu"]>}, !T {optim.slot = #optim.slot<state ["nu"]>}) {
  %one = arith.constant 1.0 : f64
  %b1 = optim.hyper "0.b1" = 0.9 : f64
  %b2 = optim.hyper "0.b2" = 0.999 : f64
  %eps = optim.hyper "0.eps" = 1.0e-8 : f64
  %decay = optim.hyper "1.weight_decay" = 1.0e-4 : f64
  %lr = optim.hyper "2.learning_rate" = 1.0e-3 : f64

  // mu and nu
  %c1 = arith.subf %one, %b1 : f64
  %c1_f = arith.truncf %c1 : f64 to f32
  %b1_f = arith.truncf %b1 : f64 to f32
  %mu_new = optim.map over @all (%x = %g : !T, %m = %mu : !T, %c = %c1_f : f32, %b = %b1_f : f32) -> (!T) {
    %0 = arith.mulf %b, %m : f32
    %1 = arith.mulf %c, %x : f32
    %2 = arith.addf %0, %1 : f32
    optim.yield %2 : f32
  }
  %sq = optim.map over @all (%x = %g : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %c2 = arith.subf %one, %b2 : f64
  %c2_f = arith.truncf %c2 : f64 to f32
  %b2_f = arith.truncf %b2 : f64 to f32
  %nu_new = optim.map over @all (%x = %sq : !T, %n = %nu : !T, %c = %c2_f : f32, %b = %b2_f : f32) -> (!T) {
    %0 = arith.mulf %b, %n : f32
    %1 = arith.mulf %c, %x : f32
    %2 = arith.addf %0, %1 : f32
    optim.yield %2 : f32
  }

  // bias correction
  %step = arith.constant 1 : i32
  %count_new = arith.addi %count, %step : i32
  %t = arith.sitofp %count_new : i32 to f32
  %one_f = arith.constant 1.0 : f32
  %p1 = math.powf %b1_f, %t : f32
  %r1 = arith.subf %one_f, %p1 : f32
  %p2 = math.powf %b2_f, %t : f32
  %r2 = arith.subf %one_f, %p2 : f32
  %mu_hat = optim.map over @all (%m = %mu_new : !T, %r = %r1 : f32) -> (!T) {
    %0 = arith.divf %m, %r : f32
    optim.yield %0 : f32
  }
  %nu_hat = optim.map over @all (%n = %nu_new : !T, %r = %r2 : f32) -> (!T) {
    %0 = arith.divf %n, %r : f32
    optim.yield %0 : f32
  }
  %eps_f = arith.truncf %eps : f64 to f32
  %u = optim.map over @all (%m = %mu_hat : !T, %n = %nu_hat : !T, %e = %eps_f : f32) -> (!T) {
    %0 = math.sqrt %n : f32
    %1 = arith.addf %0, %e : f32
    %2 = arith.divf %m, %1 : f32
    optim.yield %2 : f32
  }

  // weight decay and learning rate
  %decay_f = arith.truncf %decay : f64 to f32
  %v = optim.map over @all (%x = %u : !T, %y = %p : !T, %d = %decay_f : f32) -> (!T) {
    %0 = arith.mulf %d, %y : f32
    %1 = arith.addf %x, %0 : f32
    optim.yield %1 : f32
  }
  %neg = arith.negf %lr : f64
  %neg_f = arith.truncf %neg : f64 to f32
  %w = optim.map over @all (%x = %v : !T, %l = %neg_f : f32) -> (!T) {
    %0 = arith.mulf %l, %x : f32
    optim.yield %0 : f32
  }
  func.return %w, %count_new, %mu_new, %nu_new : !T, i32, !T, !T
}
