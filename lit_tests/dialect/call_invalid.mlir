// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.call' (C1): the callee has no name
func.func @c1(%count: i32) -> f32 {
  %0 = optim.call ""(%count) : (i32) -> f32
  func.return %0 : f32
}

// -----

// CHECK: error: 'optim.call' (C2): tensor<4xf32> is neither a tree, a scalar nor a key
func.func @c2_operand(%a: tensor<4xf32>) -> f32 {
  %0 = optim.call "f"(%a) : (tensor<4xf32>) -> f32
  func.return %0 : f32
}

// -----

// CHECK: error: 'optim.call' (C2): index is neither a tree, a scalar nor a key
func.func @c2_result(%a: f32) {
  %0 = optim.call "f"(%a) : (f32) -> index
  func.return
}

// -----

// CHECK: error: 'optim.call': leaf set @all is not defined
func.func @undefined_leaf_set() {
  %0 = optim.call "f"() : () -> !optim.tree<f32, @all>
  func.return
}

// -----

// CHECK: error: expected 2 operand types but had 1
func.func @operand_count(%a: f32) {
  %0 = optim.call "f"(%a) : (f32, f32) -> f32
  func.return
}
