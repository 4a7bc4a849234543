// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @x = ["x/0" : [3, 3]]

// CHECK: error: 'optim.matmul' (C1): !optim.tree<f32, @x>, !optim.tree<bf16, @x>, !optim.tree<f32, @x> are not elements of one type
func.func @c1(%x: !optim.tree<f32, @x>, %y: !optim.tree<bf16, @x>) -> !optim.tree<f32, @x> {
  %0 = optim.matmul <default> %x, %y : !optim.tree<f32, @x>, !optim.tree<bf16, @x> -> !optim.tree<f32, @x>
  func.return %0 : !optim.tree<f32, @x>
}

// -----

optim.leaves @x = ["x/0" : [3, 3]]

// CHECK: error: 'optim.matmul' (C1): the element type must be a float, got i32
func.func @c1_integer(%x: !optim.tree<i32, @x>) -> !optim.tree<i32, @x> {
  %0 = optim.matmul <default> %x, %x : !optim.tree<i32, @x>, !optim.tree<i32, @x> -> !optim.tree<i32, @x>
  func.return %0 : !optim.tree<i32, @x>
}

// -----

optim.leaves @x = ["x/0" : [3, 4]]

// CHECK: error: 'optim.matmul' (C2): !optim.tree<f32, @x> and !optim.tree<f32, @x> have no product !optim.tree<f32, @x>
func.func @c2(%x: !optim.tree<f32, @x>) -> !optim.tree<f32, @x> {
  %0 = optim.matmul <default> %x, %x : !optim.tree<f32, @x>, !optim.tree<f32, @x> -> !optim.tree<f32, @x>
  func.return %0 : !optim.tree<f32, @x>
}

// -----

optim.leaves @x = ["x/0" : [2, 3, 3]]
optim.leaves @y = ["y/0" : [1, 3, 3]]

// CHECK: error: 'optim.matmul' (C2): !optim.tree<f32, @x> and !optim.tree<f32, @y> have no product !optim.tree<f32, @x>
func.func @c2_batch(%x: !optim.tree<f32, @x>, %y: !optim.tree<f32, @y>) -> !optim.tree<f32, @x> {
  %0 = optim.matmul <default> %x, %y : !optim.tree<f32, @x>, !optim.tree<f32, @y> -> !optim.tree<f32, @x>
  func.return %0 : !optim.tree<f32, @x>
}

// -----

optim.leaves @x = ["x/0" : [3, 3]]

// CHECK: error: 'optim.matmul' (C3): an addend has two scalars of its element type before it, and the result's type
func.func @c3(%x: !optim.tree<f32, @x>, %s: f32) -> !optim.tree<f32, @x> {
  %0 = "optim.matmul"(%x, %x, %s, %x) <{operandSegmentSizes = array<i32: 1, 1, 1, 0, 1>, precision = #optim.precision<default>}> : (!optim.tree<f32, @x>, !optim.tree<f32, @x>, f32, !optim.tree<f32, @x>) -> !optim.tree<f32, @x>
  func.return %0 : !optim.tree<f32, @x>
}
