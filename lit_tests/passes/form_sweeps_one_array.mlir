// An array that has several names, as an argument and as parts of it, is overwritten under one of them only.
// RUN: optcc opt %s -p schedule-levels,form-sweeps --verify-each | filecheck %s

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// Refusal: the map reads the part under another name than the one that is returned, so its kernel would not know.
// CHECK-LABEL: func.func @read_under_another_name(
// CHECK:         optim.sweep ins(%{{.*}} = %c : !optim.tree<f32, @a>) outs()
func.func @read_under_another_name(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}) {
  %a, %b = optim.split %mu : !T -> !A, !B
  %c, %d = optim.split %mu : !T -> !A, !B
  %a1 = optim.map over @a (%x = %c : !A) -> (!A) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %mu1 = optim.join %a1, %d : !A, !B -> !T
  func.return %mu1 : !T
}

// Refusal: the part is read later under another name.
// CHECK-LABEL: func.func @read_later_under_another_name(
// CHECK:         optim.sweep ins() outs(%{{.*}} = %b : !optim.tree<f32, @b>)
// CHECK:         optim.sweep ins(%{{.*}} = %a : !optim.tree<f32, @a>, %{{.*}} = %n : f32) outs()
func.func @read_later_under_another_name(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, f32) {
  %a, %b = optim.split %mu : !T -> !A, !B
  %c, %d = optim.split %mu : !T -> !A, !B
  %b1, %n = optim.map over @b (%x = %b : !B) -> (!B, f32 by <add>) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y, %y : f32, f32
  }
  %a1 = optim.map over @a (%x = %a : !A, %m = %n : f32) -> (!A) {
    %y = arith.mulf %x, %m : f32
    optim.yield %y : f32
  }
  %s = optim.call "f"(%c, %a1) : (!A, !A) -> f32
  %mu1 = optim.join %a1, %b1 : !A, !B -> !T
  func.return %mu1, %s : !T, f32
}

// Refusal: two results are returned as one array. The second one gets memory of its own, in one sweep or in two.
// CHECK-LABEL: func.func @returned_twice(
// CHECK:         %u, %v = optim.sweep ins() outs(%{{.*}} = %mu : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>)
func.func @returned_twice(%mu: !T {optim.slot = #optim.slot<state ["mu"]>})
    -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T {optim.slot = #optim.slot<state ["mu"]>}) {
  %u, %v = optim.map over @all (%x = %mu : !T) -> (!T, !T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y, %x : f32, f32
  }
  func.return %u, %v : !T, !T
}

// CHECK-LABEL: func.func @returned_twice_by_two_sweeps(
// CHECK:         %u = optim.sweep ins() outs(%{{.*}} = %mu : !optim.tree<f32, @all>)
// CHECK:         %v = optim.sweep ins(%{{.*}} = %u : !optim.tree<f32, @all>) outs()
func.func @returned_twice_by_two_sweeps(%mu: !T {optim.slot = #optim.slot<state ["mu"]>})
    -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T {optim.slot = #optim.slot<state ["mu"]>}) {
  %u = optim.map over @all (%x = %mu : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %v = optim.map over @all (%x = %u : !T) -> (!T) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  func.return %u, %v : !T, !T
}
