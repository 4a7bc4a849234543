// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @scales = ["0" : [2], "1" : []]

// CHECK: error: 'optim.pack' (C1): !optim.tree<f32, @scales> holds 3 values, got f32, f32
func.func @c1_count(%a: f32) -> !optim.tree<f32, @scales> {
  %0 = optim.pack %a, %a : f32, f32 -> !optim.tree<f32, @scales>
  func.return %0 : !optim.tree<f32, @scales>
}

// -----

optim.leaves @scales = ["0" : [2], "1" : []]

// CHECK: error: 'optim.pack' (C1): !optim.tree<f32, @scales> holds 3 values, got f32, f32, f64
func.func @c1_type(%a: f32, %b: f64) -> !optim.tree<f32, @scales> {
  %0 = optim.pack %a, %a, %b : f32, f32, f64 -> !optim.tree<f32, @scales>
  func.return %0 : !optim.tree<f32, @scales>
}

// -----

optim.leaves @scales = ["0" : [2], "1" : []]

// CHECK: error: 'optim.pack': !optim.tree<f32, @scales, rows>: leaf "0" has no axis extent "rows"
func.func @missing_axis_extent(%a: f32) -> !optim.tree<f32, @scales, rows> {
  %0 = optim.pack %a, %a, %a : f32, f32, f32 -> !optim.tree<f32, @scales, rows>
  func.return %0 : !optim.tree<f32, @scales, rows>
}
