// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.slot' (C1): argument 0 of @c1_leaves has 2 leaves, but 3 places
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
func.func @c1_leaves(%g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates at [0 to 2]>}) {
  func.return
}

// -----

// CHECK: error: 'optim.slot' (C1): result 0 of @c1_scalar has 1 leaves, but 2 places
func.func @c1_scalar(%n: i32) -> (i32 {optim.slot = #optim.slot<state ["count"] at [0, 1]>}) {
  func.return %n : i32
}

// -----

// CHECK: error: 'optim.slot' (C2): argument 0 of @c2 and argument 1 of @c2 both have place 1
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
func.func @c2(%m: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["m"] at [0 to 1]>}, %n: i32 {optim.slot = #optim.slot<state ["n"] at [1]>}) {
  func.return
}

// -----

// CHECK: error: 'optim.slot' (C3): argument 0 of @c3 is a hyperparameter, which is a scalar, got !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]
func.func @c3(%m: !optim.tree<f32, @all> {optim.slot = #optim.slot<hyper at [0]>}) {
  func.return
}

// -----

// CHECK: error: 'optim.slot' (C4): argument 0 of @c4 is packed, but no tree: i32
func.func @c4(%m: i32 {optim.slot = #optim.slot<state ["m"] packed>}) {
  func.return
}
