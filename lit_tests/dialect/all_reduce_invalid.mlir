// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.all_reduce' (C1): the results do not have the types of the operands, or there is not a fold of each
func.func @c1(%n: f32) -> f32 {
  %0 = "optim.all_reduce"(%n) <{combiners = [], leaves = [@all], finer = [#optim.extent<elements>]}> : (f32) -> f32
  func.return %0 : f32
}

// -----

optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.all_reduce' (C2): a value needs a combiner: <add>, <max> or <min>
func.func @c2(%n: f32) -> f32 {
  %0 = optim.all_reduce %n : f32 by <none> of @all elements
  func.return %0 : f32
}

// -----

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @other = ["w" : [3, 4]]

// CHECK: error: 'optim.all_reduce' (C3): !optim.tree<f32, @all, per_leaf> is no fold over @other
func.func @c3(%n: !optim.tree<f32, @all, per_leaf>) -> !optim.tree<f32, @all, per_leaf> {
  %0 = optim.all_reduce %n : !optim.tree<f32, @all, per_leaf> by <add> of @other elements
  func.return %0 : !optim.tree<f32, @all, per_leaf>
}

// -----

optim.leaves @all = ["w" : [3, 4] split [0 by "data" = 8], "b" : [4]]

// CHECK: error: 'optim.all_reduce' (C4): the leaves of @all are split over different axes of the mesh
func.func @c4(%n: f32) -> f32 {
  %0 = optim.all_reduce %n : f32 by <add> of @all elements
  func.return %0 : f32
}
