// RUN: optcc opt %s --split-input-file | filecheck %s

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.random' (C1): a key that is split into 2 has no part [0, 2]
func.func @c1(%key: !K) -> !optim.tree<f32, @all> {
  %0 = optim.random <normal> %key [0, 2] of 2 : !K -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.random' (C1): a key that is split into -1 has no part []
func.func @c1_negative_total(%key: !K) -> !optim.tree<f32, @all> {
  %0 = "optim.random"(%key) <{distribution = #optim.distribution<normal>, parts = array<i64>, total = -1 : i64}> : (!K) -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.random' (C2): 2 leaves, but 1 parts of the key
func.func @c2(%key: !K) -> !optim.tree<f32, @all> {
  %0 = optim.random <normal> %key [0] of 2 : !K -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.random' (C3): random numbers are float elements, got !optim.tree<f32, @all, per_leaf>
func.func @c3_per_leaf(%key: !K) -> !optim.tree<f32, @all, per_leaf> {
  %0 = optim.random <normal> %key [0, 1] of 2 : !K -> !optim.tree<f32, @all, per_leaf>
  func.return %0 : !optim.tree<f32, @all, per_leaf>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.random' (C3): random numbers are float elements, got !optim.tree<i32, @all>
func.func @c3_integer(%key: !K) -> !optim.tree<i32, @all> {
  %0 = optim.random <normal> %key [0, 1] of 2 : !K -> !optim.tree<i32, @all>
  func.return %0 : !optim.tree<i32, @all>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: Expected `normal`.
func.func @unknown_distribution(%key: !K) -> !optim.tree<f32, @all> {
  %0 = optim.random <cauchy> %key [0, 1] of 2 : !K -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: Expected integer literal
func.func @boolean_part(%key: !K) -> !optim.tree<f32, @all> {
  %0 = optim.random <normal> %key [0, true] of 2 : !K -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.random': Expected attribute i64 but got f32
func.func @parts_of_another_type(%key: !K) -> !optim.tree<f32, @all> {
  %0 = "optim.random"(%key) <{distribution = #optim.distribution<normal>, parts = array<f32: 0.5, 1.0>, total = 2 : i64}> : (!K) -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}
