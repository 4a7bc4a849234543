// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.leaves' (C1): leaf set @all has the path "w" twice
// CHECK-NEXT: leaves_invalid.mlir:5:1
optim.leaves @all = ["w" : [3, 4], "b" : [4], "w" : [3, 4]]

// -----

// A path is taken twice whatever the shapes.
// CHECK: error: 'optim.leaves' (C1): leaf set @all has the path "w" twice
optim.leaves @all = ["w" : [3, 4], "w" : [4]]

// -----

// CHECK: error: 'builtin.module': Redefinition of symbol "all"
optim.leaves @all = ["w" : [3]]
optim.leaves @all = ["b" : [4]]

// -----

// CHECK: error: Expected integer literal
// CHECK-NEXT: leaves_invalid.mlir:23:29
optim.leaves @all = ["w" : [-3]]

// -----

// CHECK: error: Expected integer literal
optim.leaves @all = ["w" : [?, 4]]

// -----

// CHECK: error: string literal expected
optim.leaves @all = [w : [3]]
