// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @all = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK: error: 'optim.reshape' (C1): bf16 is not f32
func.func @c1(%v: !optim.tree<bf16, @v_row>) -> !optim.tree<f32, @all, rows> {
  %0 = optim.reshape %v : !optim.tree<bf16, @v_row> -> !optim.tree<f32, @all, rows>
  func.return %0 : !optim.tree<f32, @all, rows>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK: error: 'optim.reshape' (C2): !optim.tree<f32, @v_row> holds 3 values, !optim.tree<f32, @all> holds 12
func.func @c2(%v: !optim.tree<f32, @v_row>) -> !optim.tree<f32, @all> {
  %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @all>
  func.return %0 : !optim.tree<f32, @all>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK: error: 'optim.reshape' (C2): !optim.tree<f32, @v_row> holds 3 values, !optim.tree<f32, @all, per_leaf> holds 1
func.func @c2_per_leaf(%v: !optim.tree<f32, @v_row>) -> !optim.tree<f32, @all, per_leaf> {
  %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @all, per_leaf>
  func.return %0 : !optim.tree<f32, @all, per_leaf>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK: error: 'optim.reshape': !optim.tree<f32, @v_row, rows>: leaf "w" has no axis extent "rows"
func.func @missing_axis_extent(%v: !optim.tree<f32, @v_row>) -> !optim.tree<f32, @v_row, rows> {
  %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @v_row, rows>
  func.return %0 : !optim.tree<f32, @v_row, rows>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK: error: 'optim.reshape': leaf set @v is not defined; add `optim.leaves @v = [...]` to the module
func.func @undefined_leaf_set(%v: !optim.tree<f32, @v_row>) -> !optim.tree<f32, @v> {
  %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @v>
  func.return %0 : !optim.tree<f32, @v>
}

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK: error: f32 should be of base attribute optim.tree
func.func @no_tree(%s: f32) -> !optim.tree<f32, @v_row> {
  %0 = optim.reshape %s : f32 -> !optim.tree<f32, @v_row>
  func.return %0 : !optim.tree<f32, @v_row>
}
