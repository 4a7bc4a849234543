// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: C1: the element type of a tree must be a float or an integer, got index
// CHECK-NEXT: types_invalid.mlir:5:{{[0-9]+}}
func.func @index(%a: !optim.tree<index, @all>) { func.return }

// -----

// CHECK: error: C1: the element type of a tree must be a float or an integer, got tensor<4xf32>
func.func @tensor(%a: !optim.tree<tensor<4xf32>, @all>) { func.return }

// -----

// CHECK: error: C1: the element type of a tree must be a float or an integer, got !optim.tree<f32, @all>
func.func @tree_of_trees(%a: !optim.tree<!optim.tree<f32, @all>, @all>) { func.return }

// -----

// CHECK: error: Expected `elements`, or `per_leaf`.
func.func @extent(%a: !optim.tree<f32, @all, rows>) { func.return }

// -----

// CHECK: error: Expected
func.func @no_leaf_set(%a: !optim.tree<f32>) { func.return }

// -----

// CHECK: error: 'optim.reduce': leaf set @all is not defined; add `optim.leaves @all = [...]` to the module
func.func @undefined_leaf_set(%a: !optim.tree<f32, @all>) -> f32 {
  %0 = optim.reduce <add> %a : !optim.tree<f32, @all> -> f32
  func.return %0 : f32
}

// -----

// A symbol that is something else is no leaf set.
// CHECK: error: 'optim.reduce': leaf set @f is not defined
func.func @f(%a: !optim.tree<f32, @f>) -> f32 {
  %0 = optim.reduce <add> %a : !optim.tree<f32, @f> -> f32
  func.return %0 : f32
}
