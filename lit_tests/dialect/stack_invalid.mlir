// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @batches = ["batch/0" : [1, 3, 4]]

// CHECK: error: 'optim.stack' (C1): !optim.tree<f32, @all> and !optim.tree<bf16, @batches> are not elements of one type
func.func @c1(%g: !optim.tree<f32, @all>) -> !optim.tree<bf16, @batches> {
  %0 = optim.stack <[0, 1] in 0> %g : !optim.tree<f32, @all> -> !optim.tree<bf16, @batches>
  func.return %0 : !optim.tree<bf16, @batches>
}

// -----

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @batches = ["batch/0" : [1, 3, 4]]

// CHECK: error: 'optim.stack' (C2): 1 leaves, but 2 places
func.func @c2_number(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @batches> {
  %0 = optim.stack <[0, 1] in 0, [0, 1] in 0> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>
  func.return %0 : !optim.tree<f32, @batches>
}

// -----

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @batches = ["batch/0" : [1, 3, 4]]

// CHECK: error: 'optim.stack' (C2): [0, 0] is no order of the axes of leaf "w"
func.func @c2_order(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @batches> {
  %0 = optim.stack <[0, 0] in 0> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>
  func.return %0 : !optim.tree<f32, @batches>
}

// -----

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @batches = ["batch/0" : [1, 3, 4]]

// CHECK: error: 'optim.stack' (C3): leaf "w" is in batch 1 of 1
func.func @c3_batch(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @batches> {
  %0 = optim.stack <[0, 1] in 1> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>
  func.return %0 : !optim.tree<f32, @batches>
}

// -----

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @batches = ["batch/0" : [2, 3, 4]]

// CHECK: error: 'optim.stack' (C3): batch "batch/0" of shape [2, 3, 4] is given 12 values
func.func @c3_full(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @batches> {
  %0 = optim.stack <[0, 1] in 0> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>
  func.return %0 : !optim.tree<f32, @batches>
}

// -----

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @batches = ["batch/0" : [3, 4]]

// CHECK: error: 'optim.unstack' (C3): batch "batch/0" of shape [3, 4] is given 12 values
func.func @c3_rank(%b: !optim.tree<f32, @batches>) -> !optim.tree<f32, @all> {
  %0 = optim.unstack <[0, 1] in 0> %b : !optim.tree<f32, @batches> -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}
