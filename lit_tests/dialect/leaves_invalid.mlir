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

// -----

// CHECK: error: 'optim.leaves' (C2): leaf "w" cannot keep the axes [2] as "rows"
optim.leaves @c2_axis = ["w" : [3, 4] {rows = [2]}]

// -----

// CHECK: error: 'optim.leaves' (C2): leaf "w" cannot keep the axes [1, 0] as "rows"
optim.leaves @c2_order = ["w" : [3, 4] {rows = [1, 0]}]

// -----

// CHECK: error: 'optim.leaves' (C2): leaf "w" cannot keep the axes [0, 0] as "rows"
optim.leaves @c2_twice = ["w" : [3, 4] {rows = [0, 0]}]

// -----

// CHECK: error: 'optim.leaves' (C3): leaf "w": "rows.heads" keeps an axis that is folded before
optim.leaves @c3 = ["w" : [3, 4] {rows = [0], rows.heads = [1]}]

// -----

// Words may be left out between two names.
// CHECK: error: 'optim.leaves' (C3): leaf "w": "rows.all.heads" keeps an axis that is folded before
optim.leaves @c3_far = ["w" : [3, 4] {rows.all.heads = [1], rows = [0]}]

// -----

// CHECK: error: 'optim.leaves' (C4): leaf "w": an axis extent cannot be called "elements"
optim.leaves @c4_elements = ["w" : [3, 4] {elements = [0, 1]}]

// -----

// `per_leaf` is the coarsest extent.
// CHECK: error: 'optim.leaves' (C4): leaf "w": an axis extent cannot be called "per_leaf.rows"
optim.leaves @c4_per_leaf = ["w" : [3, 4] {per_leaf.rows = []}]

// -----

// CHECK: error: 'optim.leaves' (C4): leaf "w": an axis extent cannot be called "rows."
optim.leaves @c4_words = ["w" : [3, 4] {rows. = [0]}]

// -----

// CHECK: error: 'optim.leaves' (C4): leaf "w" has two axis extents of one name
optim.leaves @c4_twice = ["w" : [3, 4] {rows = [0], rows = [0]}]

// -----

// CHECK: error: Expected integer literal
optim.leaves @negative_axis = ["w" : [3, 4] {rows = [-1]}]

// -----

// CHECK: error: identifier expected
optim.leaves @quoted_name = ["w" : [3, 4] {"rows" = [0]}]

// -----

// CHECK: error: '}' expected
optim.leaves @not_closed = ["w" : [3, 4] {rows = [0]]

// -----

// CHECK: error: 'optim.leaves' (C5): leaf "w" cannot be split along axis 2 by data
optim.leaves @all = ["w" : [3, 4] split [2 by "data" = 8]]

// -----

// CHECK: error: 'optim.leaves' (C5): leaf "w" cannot be split along axis 0 by data
optim.leaves @all = ["w" : [3, 4] split [0 by "data" = 8, 1 by "data" = 8]]
