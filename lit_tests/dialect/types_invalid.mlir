// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: C1: the element type of a tree must be a number, got index
// CHECK-NEXT: types_invalid.mlir:5:{{[0-9]+}}
func.func @index(%a: !optim.tree<index, @all>) { func.return }

// -----

// CHECK: error: C1: the element type of a tree must be a number, got tensor<4xf32>
func.func @tensor(%a: !optim.tree<tensor<4xf32>, @all>) { func.return }

// -----

// CHECK: error: C1: the element type of a tree must be a number, got !optim.tree<f32, @all>
func.func @tree_of_trees(%a: !optim.tree<!optim.tree<f32, @all>, @all>) { func.return }

// -----

// CHECK: error: C1: the element type of a tree must be a number, got complex<i32>
func.func @complex_integers(%a: !optim.tree<complex<i32>, @all>) { func.return }

// -----

// CHECK: error: C1: the element type of a tree must be a number, got !optim.key<"rbg">
func.func @key_elements(%a: !optim.tree<!optim.key<"rbg">, @all>) { func.return }

// -----

// CHECK: error: identifier expected
func.func @extent(%a: !optim.tree<f32, @all, "rows">) { func.return }

// -----

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4]]

// Every leaf has to have the axis extent.
// CHECK: error: 'optim.reduce': !optim.tree<f32, @all, rows>: leaf "b" has no axis extent "rows"
func.func @missing_axis_extent(%a: !optim.tree<f32, @all, rows>) -> f32 {
  %0 = optim.reduce <add> %a : !optim.tree<f32, @all, rows> -> f32
  func.return %0 : f32
}

// -----

// CHECK: error: '<' expected
func.func @key_without_implementation(%a: !optim.key) { func.return }

// -----

// CHECK: error: string literal expected
func.func @key_of_a_type(%a: !optim.key<f32>) { func.return }

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
