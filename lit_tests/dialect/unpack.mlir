// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!S = !optim.tree<f32, @scales>

optim.leaves @scales = ["0" : [2], "1" : []]
optim.leaves @matrix = ["w" : [2, 4] {rows = [0]}]

// GENERIC-LABEL: sym_name = "unpacked"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.unpack"(%s) : (!optim.tree<f32, @scales>) -> (f32, f32, f32)
// CHECK-LABEL: func.func @unpacked
// CHECK-NEXT:    %0, %1, %2 = optim.unpack %s : !optim.tree<f32, @scales> -> f32, f32, f32
func.func @unpacked(%s: !S) -> (f32, f32, f32) {
  %0, %1, %2 = optim.unpack %s : !S -> f32, f32, f32
  func.return %0, %1, %2 : f32, f32, f32
}

// CHECK-LABEL: func.func @a_value_for_each_row
// CHECK-NEXT:    %0, %1 = optim.unpack %r : !optim.tree<i1, @matrix, rows> -> i1, i1
func.func @a_value_for_each_row(%r: !optim.tree<i1, @matrix, rows>) -> (i1, i1) {
  %0, %1 = optim.unpack %r : !optim.tree<i1, @matrix, rows> -> i1, i1
  func.return %0, %1 : i1, i1
}
