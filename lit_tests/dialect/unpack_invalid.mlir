// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @scales = ["0" : [2], "1" : []]

// CHECK: error: 'optim.unpack' (C1): !optim.tree<f32, @scales> holds 3 values, got f32
func.func @c1_count(%s: !optim.tree<f32, @scales>) -> f32 {
  %0 = optim.unpack %s : !optim.tree<f32, @scales> -> f32
  func.return %0 : f32
}

// -----

optim.leaves @scales = ["0" : [2], "1" : []]

// CHECK: error: 'optim.unpack' (C1): !optim.tree<f32, @scales, per_leaf> holds 2 values, got f32, i32
func.func @c1_type(%s: !optim.tree<f32, @scales, per_leaf>) -> i32 {
  %0, %1 = optim.unpack %s : !optim.tree<f32, @scales, per_leaf> -> f32, i32
  func.return %1 : i32
}

// -----

// CHECK: error: 'optim.unpack': leaf set @scales is not defined; add `optim.leaves @scales = [...]` to the module
func.func @undefined_leaf_set(%s: !optim.tree<f32, @scales>) -> f32 {
  %0 = optim.unpack %s : !optim.tree<f32, @scales> -> f32
  func.return %0 : f32
}
