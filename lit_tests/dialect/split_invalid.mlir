// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split' (C1): a leaf set is split into at least one part
func.func @c1_no_part(%g: !optim.tree<f32, @all>) {
  "optim.split"(%g) : (!optim.tree<f32, @all>) -> ()
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split' (C1): part !optim.tree<bf16, @b> differs from !optim.tree<f32, @all> by more than its leaf set
func.func @c1_element(%g: !optim.tree<f32, @all>) {
  %0, %1 = optim.split %g : !optim.tree<f32, @all>
      -> !optim.tree<f32, @w>, !optim.tree<bf16, @b>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split' (C1): part !optim.tree<f32, @b, per_leaf> differs from !optim.tree<f32, @all> by more than its leaf set
func.func @c1_extent(%g: !optim.tree<f32, @all>) {
  %0, %1 = optim.split %g : !optim.tree<f32, @all>
      -> !optim.tree<f32, @w>, !optim.tree<f32, @b, per_leaf>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split' (C2): leaf "b" is in two parts
func.func @c2_twice(%g: !optim.tree<f32, @all>) {
  %0, %1, %2 = optim.split %g : !optim.tree<f32, @all>
      -> !optim.tree<f32, @w>, !optim.tree<f32, @b>, !optim.tree<f32, @b>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split' (C2): the parts do not hold the leaves of @all, each once
func.func @c2_missing(%g: !optim.tree<f32, @all>) {
  %0 = optim.split %g : !optim.tree<f32, @all>
      -> !optim.tree<f32, @w>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split' (C2): the parts do not hold the leaves of @w, each once
func.func @c2_other(%g: !optim.tree<f32, @w>) {
  %0, %1 = optim.split %g : !optim.tree<f32, @w>
      -> !optim.tree<f32, @w>, !optim.tree<f32, @b>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]
optim.leaves @b5 = ["b" : [5]]

// CHECK: error: 'optim.split' (C2): the parts do not hold the leaves of @all, each once
func.func @c2_shape(%g: !optim.tree<f32, @all>) {
  %0, %1 = optim.split %g : !optim.tree<f32, @all>
      -> !optim.tree<f32, @w>, !optim.tree<f32, @b5>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split': leaf set @none is not defined
func.func @undefined_leaf_set(%g: !optim.tree<f32, @all>) {
  %0, %1 = optim.split %g : !optim.tree<f32, @all>
      -> !optim.tree<f32, @w>, !optim.tree<f32, @none>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4] {rows = []}]
optim.leaves @w = ["w" : [3, 4] {rows = [1]}]
optim.leaves @b = ["b" : [4] {rows = []}]

// A leaf is the same only if its axis extents are.
// CHECK: error: 'optim.split' (C2): the parts do not hold the leaves of @all, each once
func.func @c2_axes(%r: !optim.tree<f32, @all, rows>) {
  %0, %1 = optim.split %r : !optim.tree<f32, @all, rows> -> !optim.tree<f32, @w, rows>, !optim.tree<f32, @b, rows>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4] {rows = []}]
optim.leaves @w = ["w" : [3, 4] {rows = [0]}]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.split': !optim.tree<f32, @b, rows>: leaf "b" has no axis extent "rows"
func.func @part_without_axis_extent(%r: !optim.tree<f32, @all, rows>) {
  %0, %1 = optim.split %r : !optim.tree<f32, @all, rows> -> !optim.tree<f32, @w, rows>, !optim.tree<f32, @b, rows>
  func.return
}
