// The call reads the whole argument after the sweep, so the sweep does not overwrite a part of it.
// RUN: optcc opt %s -p schedule-levels,form-sweeps | filecheck %s

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @whole_read_later
// CHECK:         optim.sweep ins(%{{.*}} = %a : !optim.tree<f32, @a>) outs()
func.func @whole_read_later(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, f32) {
  %a, %b = optim.split %mu : !T -> !A, !B
  %a1 = optim.map over @a (%x = %a : !A) -> (!A) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %mu1 = optim.join %a1, %b : !A, !B -> !T
  %s = optim.call "f"(%mu) : (!T) -> f32
  func.return %mu1, %s : !T, f32
}
