// RUN: optcc opt %s -p step --verify-each | filecheck %s

!T = !optim.tree<f32, @all>
!D = !optim.tree<f32, @decay>
!R = !optim.tree<f32, @rest>

optim.leaves @all = ["w" : [3, 4], "b" : [4], "v" : [5]]
optim.leaves @decay = ["w" : [3, 4], "v" : [5]]
optim.leaves @rest = ["b" : [4]]

// Weight decay on some leaves: still one pass over memory, with a body for each part.
// CHECK-LABEL: func.func @update(
// CHECK:         %[[P0:.*]], %[[P1:.*]] = optim.split %p
// CHECK:         optim.sweep ins({{[^()]*}}) outs(%{{.*}} = %[[P0]] : !optim.tree<f32, @decay>, %{{.*}} = %[[P1]] : !optim.tree<f32, @rest>)
// CHECK-NEXT:      optim.map over @decay
// CHECK:           optim.map over @rest
// CHECK-NOT:     optim.sweep
// CHECK:         %[[NEW:.*]] = optim.join
// CHECK-NEXT:    func.return %[[NEW]] : !optim.tree<f32, @all>
func.func @update(%g: !T {optim.slot = #optim.slot<updates>}, %p: !T {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<updates>}) {
  %wd = optim.hyper "0.weight_decay" = 1.0e-4 : f32
  %lr = optim.hyper "1.learning_rate" = -1.0e-3 : f32
  %g0, %g1 = optim.split %g : !T -> !D, !R
  %p0, %p1 = optim.split %p : !T -> !D, !R
  %d = optim.map over @decay (%x = %g0 : !D, %y = %p0 : !D, %k = %wd : f32) -> (!D) {
    %0 = arith.mulf %k, %y : f32
    %1 = arith.addf %x, %0 : f32
    optim.yield %1 : f32
  }
  %u = optim.join %d, %g1 : !D, !R -> !T
  %v = optim.map over @all (%x = %u : !T, %l = %lr : f32) -> (!T) {
    %0 = arith.mulf %l, %x : f32
    optim.yield %0 : f32
  }
  func.return %v : !T
}
