// RUN: optcc opt %s -p pack-slots | filecheck %s
// RUN: optcc opt %s -p "pack-slots{roles=params}" | filecheck %s --check-prefix PARAMS
// RUN: optcc opt %s -p "pack-slots{storage=tiled}" | filecheck %s --check-prefix TILED
// RUN: optcc opt %s -p "pack-slots{storage=tiled},pack-slots{roles=params}" | optcc opt - | filecheck %s --check-prefix BOTH

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// The state's trees are packed, in every function; a scalar of it is not, nor are other roles.
// CHECK-LABEL: func.func @init(
// CHECK-SAME: %p: !optim.tree<f32, @all> {optim.slot = #optim.slot<params>}
// CHECK-SAME: -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"] at [0 to 1] packed>})
func.func @init(%p: !T {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<state ["mu"] at [0 to 1]>}) {
  func.return %p : !T
}

// CHECK-LABEL: func.func @update(
// CHECK-SAME: %p: !optim.tree<f32, @all> {optim.slot = #optim.slot<params>}
// CHECK-SAME: %mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"] at [0 to 1] packed>}
// CHECK-SAME: %n: i32 {optim.slot = #optim.slot<state ["n"] at [2]>}
// CHECK-SAME: -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"] at [0 to 1] packed>}, f32)
// TILED-LABEL: func.func @update(
// TILED-SAME: %mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"] at [0 to 1] tiled>}
// BOTH-LABEL: func.func @update(
// BOTH-SAME: %p: !optim.tree<f32, @all> {optim.slot = #optim.slot<params packed>}
// BOTH-SAME: %mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"] at [0 to 1] tiled>}
// PARAMS-LABEL: func.func @update(
// PARAMS-SAME: %p: !optim.tree<f32, @all> {optim.slot = #optim.slot<params packed>}
// PARAMS-SAME: %mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"] at [0 to 1]>}
func.func @update(%p: !T {optim.slot = #optim.slot<params>}, %mu: !T {optim.slot = #optim.slot<state ["mu"] at [0 to 1]>}, %n: i32 {optim.slot = #optim.slot<state ["n"] at [2]>}, %x: f32) -> (!T {optim.slot = #optim.slot<state ["mu"] at [0 to 1]>}, f32) {
  func.return %mu, %x : !T, f32
}
