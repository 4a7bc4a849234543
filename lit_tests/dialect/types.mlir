// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

optim.leaves @all = ["w" : [3, 4]]

// The extent `elements` is not printed.
// GENERIC: (!optim.tree<f32, @all>, !optim.tree<f32, @all>) -> ()
// CHECK: func.func @extent_elements(%a: !optim.tree<f32, @all>, %b: !optim.tree<f32, @all>)
func.func @extent_elements(%a: !optim.tree<f32, @all>, %b: !optim.tree<f32, @all, elements>) { func.return }

// GENERIC: (!optim.tree<f32, @all, per_leaf>) -> ()
// CHECK: func.func @extent_per_leaf(%a: !optim.tree<f32, @all, per_leaf>)
func.func @extent_per_leaf(%a: !optim.tree<f32, @all, per_leaf>) { func.return }

// CHECK: func.func @float_elements(%a: !optim.tree<f16, @all>, %b: !optim.tree<bf16, @all>, %c: !optim.tree<f64, @all>)
func.func @float_elements(%a: !optim.tree<f16, @all>, %b: !optim.tree<bf16, @all>, %c: !optim.tree<f64, @all>) {
  func.return
}

// CHECK: func.func @integer_elements(%a: !optim.tree<i1, @all>, %b: !optim.tree<i32, @all>, %c: !optim.tree<ui8, @all, per_leaf>)
func.func @integer_elements(%a: !optim.tree<i1, @all>, %b: !optim.tree<i32, @all>, %c: !optim.tree<ui8, @all, per_leaf>) {
  func.return
}

// GENERIC: arg_attrs = [{optim.slot = #optim.slot<params>}], res_attrs = [{optim.slot = #optim.slot<params>}]
// CHECK: func.func @slots(%a: !optim.tree<f32, @all> {optim.slot = #optim.slot<params>}) -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<params>})
func.func @slots(%a: !optim.tree<f32, @all> {optim.slot = #optim.slot<params>})
    -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<params>}) {
  func.return %a : !optim.tree<f32, @all>
}

// An alias stands for its type.
!T = !optim.tree<f32, @all>
// CHECK: func.func @alias(%a: !optim.tree<f32, @all>)
func.func @alias(%a: !T) { func.return }

optim.leaves @axes = ["w" : [3, 4] {rows = [0], rows.heads = []}]

// GENERIC: (!optim.tree<f32, @axes, rows>, !optim.tree<f32, @axes, rows.heads>) -> ()
// CHECK: func.func @axis_extents(%a: !optim.tree<f32, @axes, rows>, %b: !optim.tree<f32, @axes, rows.heads>)
func.func @axis_extents(%a: !optim.tree<f32, @axes, rows>, %b: !optim.tree<f32, @axes, rows.heads>) { func.return }

// CHECK: func.func @complex_elements(%a: !optim.tree<complex<f32>, @all>, %b: !optim.tree<complex<f64>, @axes, rows>)
func.func @complex_elements(%a: !optim.tree<complex<f32>, @all>, %b: !optim.tree<complex<f64>, @axes, rows>) {
  func.return
}

// GENERIC: (!optim.key<"threefry2x32">, !optim.key<"rbg">) -> ()
// CHECK: func.func @keys(%a: !optim.key<"threefry2x32">, %b: !optim.key<"rbg">)
func.func @keys(%a: !optim.key<"threefry2x32">, %b: !optim.key<"rbg">) { func.return }
