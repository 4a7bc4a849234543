// RUN: optcc opt %s -p step --verify-each | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// Two passes. The first writes mu and nu and the squared norms of each leaf. The update is computed again in the
// second, from mu and nu, and in no memory.
// CHECK-LABEL: func.func @update(
// CHECK:         %{{.*}}, %{{.*}}, %[[UU:.*]], %[[PP:.*]] = optim.sweep ins({{[^()]*}}) outs(%{{.*}} = %mu : !optim.tree<f32, @all>, %{{.*}} = %nu : !optim.tree<f32, @all>) -> ({{[^()]*}}) {
// CHECK:           optim.yield {{.*}} : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all, per_leaf>, !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:    }
// CHECK-NEXT:    %[[RATIO:.*]] = optim.map over @all ({{.*}}) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK:         optim.sweep ins({{[^()]*}} = %[[RATIO]] : {{[^()]*}}) outs(%{{.*}} = %p : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NOT:     optim.sweep
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}, %nu: !T {optim.slot = #optim.slot<state ["nu"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["mu"]>}, !T {optim.slot = #optim.slot<state ["nu"]>}) {
  %b1 = optim.hyper "0.b1" = 0.9 : f32
  %b2 = optim.hyper "0.b2" = 0.999 : f32
  %lr = optim.hyper "2.learning_rate" = -1.0e-3 : f32

  // adam, without bias correction
  %mu_new = optim.map over @all (%x = %g : !T, %m = %mu : !T, %b = %b1 : f32) -> (!T) {
    %0 = arith.subf %x, %m : f32
    %1 = arith.mulf %b, %0 : f32
    %2 = arith.subf %x, %1 : f32
    optim.yield %2 : f32
  }
  %sq = optim.map over @all (%x = %g : !T) -> (!T) {
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

  // trust ratio of each leaf, and learning rate
  %uu = optim.map over @all (%x = %u : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %u_norm2 = optim.reduce <add> %uu : !T -> !P
  %pp = optim.map over @all (%x = %p : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %p_norm2 = optim.reduce <add> %pp : !T -> !P
  %v = optim.map over @all (%x = %u : !T, %a = %p_norm2 : !P, %b = %u_norm2 : !P) -> (!T) {
    %0 = math.sqrt %a : f32
    %1 = math.sqrt %b : f32
    %ratio = arith.divf %0, %1 : f32
    %2 = arith.mulf %x, %ratio : f32
    optim.yield %2 : f32
  }
  %w = optim.map over @all (%x = %v : !T, %l = %lr : f32) -> (!T) {
    %0 = arith.mulf %l, %x : f32
    optim.yield %0 : f32
  }
  func.return %w, %mu_new, %nu_new : !T, !T, !T
}
