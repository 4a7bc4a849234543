// RUN: optcc opt %s | filecheck %s
// RUN: optcc opt %s | optcc opt - | filecheck %s

// The signature of a function: role, path, places and storage of every argument and result.

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4], "c" : []]
optim.leaves @some = ["w" : [3, 4]]

// CHECK-LABEL: func.func @update(
// CHECK-SAME: %g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates at [0 to 2]>}
// CHECK-SAME: %mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "mu"] at [4, 1 to 2] packed>}
// CHECK-SAME: %count: i32 {optim.slot = #optim.slot<state ["0", "count"] at [0]>}
// CHECK-SAME: %loss: !optim.tree<f32, @some> {optim.slot = #optim.slot<extra ["value"] at [0]>}
// CHECK-SAME: %lr: f32 {optim.slot = #optim.slot<hyper at [0]>}
// CHECK-SAME: -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<updates>}, !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "mu"] at [4, 1 to 2] packed>})
func.func @update(
  %g: !T {optim.slot = #optim.slot<updates at [0 to 2]>},
  %mu: !T {optim.slot = #optim.slot<state ["0", "mu"] at [4, 1, 2] packed>},
  %count: i32 {optim.slot = #optim.slot<state ["0", "count"] at [0]>},
  %loss: !optim.tree<f32, @some> {optim.slot = #optim.slot<extra ["value"] at [0]>},
  %lr: f32 {optim.slot = #optim.slot<hyper at [0]>},
  %other: f32
) -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["0", "mu"] at [4, 1 to 2] packed>}) {
  func.return %g, %mu : !T, !T
}
