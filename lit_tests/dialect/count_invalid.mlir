// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4]]

// CHECK: error: 'optim.count' (C1): a count is a per-leaf tree of floats, got !optim.tree<f32, @all>
func.func @c1_elements() -> !optim.tree<f32, @all> {
  %0 = optim.count per per_leaf : !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4]]

// CHECK: error: 'optim.count' (C1): a count is a per-leaf tree of floats, got !optim.tree<i32, @all, per_leaf>
func.func @c1_integer() -> !optim.tree<i32, @all, per_leaf> {
  %0 = optim.count per per_leaf : !optim.tree<i32, @all, per_leaf>
  func.return %0 : !optim.tree<i32, @all, per_leaf>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4]]

// CHECK: error: 'optim.count' (C2): leaf "b" has no axis extent "rows"
func.func @c2() -> !optim.tree<f32, @all, per_leaf> {
  %0 = optim.count per rows : !optim.tree<f32, @all, per_leaf>
  func.return %0 : !optim.tree<f32, @all, per_leaf>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4]]

// CHECK: error: 'optim.count': leaf set @none is not defined; add `optim.leaves @none = [...]` to the module
func.func @undefined_leaf_set() -> !optim.tree<f32, @none, per_leaf> {
  %0 = optim.count per per_leaf : !optim.tree<f32, @none, per_leaf>
  func.return %0 : !optim.tree<f32, @none, per_leaf>
}
