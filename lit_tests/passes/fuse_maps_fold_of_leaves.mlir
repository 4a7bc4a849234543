// A fold of per-leaf values starts a level: a map is not fused with one that needs its sum.
// RUN: optcc opt %s -p fuse-maps | filecheck %s

!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK-LABEL: func.func @combined_result
// CHECK-NEXT:    %r{{.*}} = optim.map
// CHECK:         %q = math.sqrt
// CHECK-NEXT:    %u = optim.map
func.func @combined_result(%s: !P) -> !P {
  %r, %n = optim.map over @all (%x = %s : !P) -> (!P, f32 by <add>) {
    %y = math.sqrt %x : f32
    optim.yield %y, %y : f32, f32
  }
  %q = math.sqrt %n : f32
  %u = optim.map over @all (%x = %r : !P, %k = %q : f32) -> (!P) {
    %y = arith.divf %x, %k : f32
    optim.yield %y : f32
  }
  func.return %u : !P
}

// CHECK-LABEL: func.func @reduction
// CHECK-NEXT:    %r{{.*}} = optim.map
// CHECK:         %n = optim.reduce
// CHECK-NEXT:    %u = optim.map
func.func @reduction(%s: !P) -> !P {
  %r = optim.map over @all (%x = %s : !P) -> (!P) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %n = optim.reduce <add> %r : !P -> f32
  %u = optim.map over @all (%x = %r : !P, %k = %n : f32) -> (!P) {
    %y = arith.divf %x, %k : f32
    optim.yield %y : f32
  }
  func.return %u : !P
}
