// RUN: optcc opt %s --split-input-file | filecheck %s

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join' (C1): a leaf set is split into at least one part
func.func @c1_no_part() {
  %0 = "optim.join"() : () -> !optim.tree<f32, @all>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join' (C1): part !optim.tree<bf16, @b> differs from !optim.tree<f32, @all> by more than its leaf set
func.func @c1_element(%a: !optim.tree<f32, @w>, %b: !optim.tree<bf16, @b>) {
  %0 = optim.join %a, %b : !optim.tree<f32, @w>, !optim.tree<bf16, @b>
      -> !optim.tree<f32, @all>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join' (C1): part !optim.tree<f32, @b, per_leaf> differs from !optim.tree<f32, @all> by more than its leaf set
func.func @c1_extent(%a: !optim.tree<f32, @w>, %b: !optim.tree<f32, @b, per_leaf>) {
  %0 = optim.join %a, %b : !optim.tree<f32, @w>, !optim.tree<f32, @b, per_leaf>
      -> !optim.tree<f32, @all>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join' (C2): leaf "b" is in two parts
func.func @c2_twice(%a: !optim.tree<f32, @w>, %b: !optim.tree<f32, @b>, %c: !optim.tree<f32, @b>) {
  %0 = optim.join %a, %b, %c : !optim.tree<f32, @w>, !optim.tree<f32, @b>, !optim.tree<f32, @b>
      -> !optim.tree<f32, @all>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join' (C2): the parts do not hold the leaves of @all, each once
func.func @c2_missing(%a: !optim.tree<f32, @w>) {
  %0 = optim.join %a : !optim.tree<f32, @w>
      -> !optim.tree<f32, @all>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join' (C2): the parts do not hold the leaves of @w, each once
func.func @c2_other(%a: !optim.tree<f32, @w>, %b: !optim.tree<f32, @b>) {
  %0 = optim.join %a, %b : !optim.tree<f32, @w>, !optim.tree<f32, @b>
      -> !optim.tree<f32, @w>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]
optim.leaves @b5 = ["b" : [5]]

// CHECK: error: 'optim.join' (C2): the parts do not hold the leaves of @all, each once
func.func @c2_shape(%a: !optim.tree<f32, @w>, %b: !optim.tree<f32, @b5>) {
  %0 = optim.join %a, %b : !optim.tree<f32, @w>, !optim.tree<f32, @b5>
      -> !optim.tree<f32, @all>
  func.return
}

// -----

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @w = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.join': leaf set @none is not defined
func.func @undefined_leaf_set(%a: !optim.tree<f32, @w>, %b: !optim.tree<f32, @none>) {
  %0 = optim.join %a, %b : !optim.tree<f32, @w>, !optim.tree<f32, @none>
      -> !optim.tree<f32, @all>
  func.return
}
