// RUN: optcc opt %s -p bf16-moments | filecheck %s

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK-LABEL: func.func @update(
// CHECK-SAME: %mu: !optim.tree<bf16, @all> {optim.slot = #optim.slot<state ["0", "mu"] at [0 to 1]>}
// CHECK-NEXT:    %mu_1 = optim.map over @all (%mu_2 = %mu : !optim.tree<bf16, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      {{.*}} = arith.extf %mu_2 : bf16 to f32
// CHECK:         arith.truncf {{.*}} : f32 to bf16
// CHECK:         func.return {{.*}} : !optim.tree<bf16, @all>, !optim.tree<f32, @all>
func.func @update(%mu: !T {optim.slot = #optim.slot<state ["0", "mu"] at [0 to 1]>},
                  %nu: !T {optim.slot = #optim.slot<state ["0", "nu"] at [2 to 3]>})
    -> (!T {optim.slot = #optim.slot<state ["0", "mu"] at [0 to 1]>}, !T {optim.slot = #optim.slot<state ["0", "nu"] at [2 to 3]>}) {
  func.return %mu, %nu : !T, !T
}

// The conversions of a whole state.
// CHECK-LABEL: func.func @from_optax(%mu: !optim.tree<f32, @all>
// CHECK-SAME: -> (!optim.tree<bf16, @all>
// CHECK-LABEL: func.func @to_optax(%mu: !optim.tree<bf16, @all>
// CHECK-SAME: -> (!optim.tree<f32, @all>
