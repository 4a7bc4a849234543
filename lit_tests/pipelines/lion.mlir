// RUN: optcc opt %s -p step --verify-each | filecheck %s

!T = !optim.tree<bf16, @all>
!F = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// One pass, over bf16 arrays: each is widened once. The new moment, the update and the new parameter are rounded once;
// the update is no longer stored, but keeps its rounding.
// CHECK-LABEL: func.func @update(
// CHECK:         optim.sweep ins({{[^()]*}}) outs(%{{.*}} = %mu : !optim.tree<bf16, @all>, %{{.*}} = %p : !optim.tree<bf16, @all>)
// CHECK-NEXT:      optim.map over @all ({{.*}}) -> (!optim.tree<bf16, @all>, !optim.tree<bf16, @all>) {
// CHECK-COUNT-2:     arith.extf
// CHECK-NOT:         arith.extf
// CHECK:             %[[MU:.*]] = arith.truncf
// CHECK:             %[[U:.*]] = arith.truncf
// CHECK-NEXT:        %[[P:.*]] = arith.extf %p
// CHECK-NEXT:        %[[W:.*]] = arith.extf %[[U]] : bf16 to f32
// CHECK-NEXT:        %[[SUM:.*]] = arith.addf %[[P]], %[[W]] : f32
// CHECK-NEXT:        %[[NEW:.*]] = arith.truncf %[[SUM]] : f32 to bf16
// CHECK-NEXT:        optim.yield %[[MU]], %[[NEW]] : bf16, bf16
// CHECK-NOT:     optim.sweep
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["mu"]>}) {
  %b1 = optim.hyper "0.b1" = 0.9 : f32
  %b2 = optim.hyper "0.b2" = 0.99 : f32
  %lr = optim.hyper "1.learning_rate" = -1.0e-3 : f32

  %g_f = optim.map over @all (%x = %g : !T) -> (!F) {
    %0 = arith.extf %x : bf16 to f32
    optim.yield %0 : f32
  }
  %mu_f = optim.map over @all (%m = %mu : !T) -> (!F) {
    %0 = arith.extf %m : bf16 to f32
    optim.yield %0 : f32
  }
  %mix = optim.map over @all (%x = %g_f : !F, %m = %mu_f : !F, %b = %b1 : f32) -> (!F) {
    %0 = arith.subf %x, %m : f32
    %1 = arith.mulf %b, %0 : f32
    %2 = arith.subf %x, %1 : f32
    optim.yield %2 : f32
  }
  %sign = optim.map over @all (%x = %mix : !F) -> (!F) {
    %zero = arith.constant 0.0 : f32
    %minus = arith.constant -1.0 : f32
    %plus = arith.constant 1.0 : f32
    %negative = arith.cmpf olt, %x, %zero : f32
    %0 = arith.select %negative, %minus, %plus : f32
    optim.yield %0 : f32
  }
  %mu_new = optim.map over @all (%x = %g_f : !F, %m = %mu_f : !F, %b = %b2 : f32) -> (!T) {
    %0 = arith.subf %x, %m : f32
    %1 = arith.mulf %b, %0 : f32
    %2 = arith.subf %x, %1 : f32
    %3 = arith.truncf %2 : f32 to bf16
    optim.yield %3 : bf16
  }
  %u = optim.map over @all (%x = %sign : !F, %l = %lr : f32) -> (!T) {
    %0 = arith.mulf %l, %x : f32
    %1 = arith.truncf %0 : f32 to bf16
    optim.yield %1 : bf16
  }
  func.return %u, %mu_new : !T, !T
}
