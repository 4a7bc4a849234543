// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

// GENERIC: "optim.leaves"() <{sym_name = "all", table = #optim.leaf_table["wte" : [50257, 768], "bias" : [768]]}> : () -> ()

// CHECK: optim.leaves @all = ["wte" : [50257, 768], "bias" : [768]]
optim.leaves @all = ["wte" : [50257, 768], "bias" : [768]]

// CHECK-NEXT: optim.leaves @none = []
optim.leaves @none = []

// CHECK-NEXT: optim.leaves @zero_d_and_empty = ["scale" : [], "empty" : [0, 3]]
optim.leaves @zero_d_and_empty = ["scale" : [], "empty" : [0, 3]]

// GENERIC: "optim.leaves"() <{sym_name = "a set"
// CHECK-NEXT: optim.leaves @"a set" = ["w" : [2]]
optim.leaves @"a set" = ["w" : [2]]

// Paths are the user's: quotes, backslashes, newlines, brackets, nothing at all.
// CHECK-NEXT: optim.leaves @paths = ["['a\22b']" : [], "back\\slash" : [], "line\0Abreak\09tab" : [], "%a, @b // c" : [], "" : []]
optim.leaves @paths = ["['a\22b']" : [], "back\\slash" : [], "line\0Abreak\09tab" : [], "%a, @b // c" : [], "" : []]

// One path may be in several sets, with one shape or another.
// CHECK-NEXT: optim.leaves @other = ["wte" : [4]]
optim.leaves @other = ["wte" : [4]]

// Axis extents keep some axes of a leaf, all or none. They are in the order in which they were written.
// GENERIC: table = #optim.leaf_table["w" : [3, 4] {rows = [0], columns = [1]}, "b" : [4]]
// CHECK-NEXT: optim.leaves @axes = ["w" : [3, 4] {rows = [0], columns = [1]}, "b" : [4]]
optim.leaves @axes = ["w" : [3, 4] {rows = [0], columns = [1]}, "b" : [4]]

// CHECK-NEXT: optim.leaves @all_axes_or_none = ["w" : [2, 3, 4] {units = [0, 1, 2]}, "b" : [4] {units = []}, "s" : [] {units = []}]
optim.leaves @all_axes_or_none = ["w" : [2, 3, 4] {units = [0, 1, 2]}, "b" : [4] {units = []}, "s" : [] {units = []}]

// The name of a coarser axis extent continues that of a finer one. The order is free.
// CHECK-NEXT: optim.leaves @coarser = ["w" : [2, 3, 4] {rows.heads = [0], rows = [0, 1], rows.heads.all = []}]
optim.leaves @coarser = ["w" : [2, 3, 4] {rows.heads = [0], rows = [0, 1], rows.heads.all = []}]

// CHECK-NEXT: optim.leaves @no_axis_extent = ["w" : [2]]
optim.leaves @no_axis_extent = ["w" : [2] {}]
