// A join before the sweeps holds the old value for what reads it after them, so the slot is not overwritten.
// RUN: optcc opt %s -p schedule-levels,form-sweeps | filecheck %s

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @returned(
// CHECK:         optim.sweep ins(%{{.*}} = %a : !optim.tree<f32, @a>) outs()
func.func @returned(%a: !A {optim.slot = #optim.slot<state ["mu"]>}, %b: !B) -> (!A {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %t = optim.join %a, %b : !A, !B -> !T
  %a1 = optim.map over @a (%x = %a : !A) -> (!A) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  func.return %a1, %t : !A, !T
}

// Read before the sweep it is no obstacle.
// CHECK-LABEL: func.func @read_before(
// CHECK:         optim.join
// CHECK:         optim.sweep ins(%{{.*}} = %s : f32) outs(%{{.*}} = %a : !optim.tree<f32, @a>)
func.func @read_before(%a: !A {optim.slot = #optim.slot<state ["mu"]>}, %b: !B) -> (!A {optim.slot = #optim.slot<state ["mu"]>}) {
  %t = optim.join %a, %b : !A, !B -> !T
  %s = optim.call "f"(%t) : (!T) -> f32
  %a1 = optim.map over @a (%x = %a : !A, %z = %s : f32) -> (!A) {
    %y = arith.mulf %x, %z : f32
    optim.yield %y : f32
  }
  func.return %a1 : !A
}
