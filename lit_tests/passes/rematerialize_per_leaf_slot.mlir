// The store of a per-leaf slot stays where it is: in a map over elements it would be no valid result (C4 of map).
// RUN: optcc opt %s -p rematerialize | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK-LABEL: func.func @made_by_a_per_leaf_map
// CHECK:         func.return
func.func @made_by_a_per_leaf_map(%g: !T, %s: !P {optim.slot = #optim.slot<state ["s"]>}) -> (!P {optim.slot = #optim.slot<state ["s"]>}, !T) {
  %s1 = optim.map over @all (%x = %s : !P) -> (!P) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %u = optim.map over @all (%x = %g : !T, %y = %s : !P) -> (!T) {
    %z = arith.mulf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %s1, %u : !P, !T
}

// CHECK-LABEL: func.func @made_by_a_fold
// CHECK:         func.return
func.func @made_by_a_fold(%g: !T, %s: !P {optim.slot = #optim.slot<state ["s"]>}) -> (!P {optim.slot = #optim.slot<state ["s"]>}, !T) {
  %s1 = optim.map over @all (%x = %g : !T) -> (!P by <add>) {
    optim.yield %x : f32
  }
  %u = optim.map over @all (%x = %g : !T, %y = %s : !P) -> (!T) {
    %z = arith.mulf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %s1, %u : !P, !T
}
