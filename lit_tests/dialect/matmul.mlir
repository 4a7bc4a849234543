// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!X = !optim.tree<f32, @x>
!A = !optim.tree<f32, @a>

optim.leaves @x = ["x/0" : [5, 3, 4], "x/1" : [2, 2]]
optim.leaves @a = ["a/0" : [5, 3, 3], "a/1" : [2, 2]]
optim.leaves @b = ["b/0" : [5, 4, 4], "b/1" : [2, 2]]

// GENERIC: "optim.matmul"(%x, %x) <{precision = #optim.precision<default>, transpose_rhs, operandSegmentSizes = array<i32: 1, 1, 0, 0, 0>}>
// CHECK-LABEL: func.func @gram
// CHECK-NEXT:    %0 = optim.matmul <default> %x, transposed %x : !optim.tree<f32, @x>, !optim.tree<f32, @x> -> !optim.tree<f32, @a>
func.func @gram(%x: !X) -> !A {
  %0 = optim.matmul <default> %x, transposed %x : !X, !X -> !A
  func.return %0 : !A
}

// CHECK-LABEL: func.func @columns
// CHECK-NEXT:    %0 = optim.matmul <highest> transposed %x, %x : !optim.tree<f32, @x>, !optim.tree<f32, @x> -> !optim.tree<f32, @b>
func.func @columns(%x: !X) -> !optim.tree<f32, @b> {
  %0 = optim.matmul <highest> transposed %x, %x : !X, !X -> !optim.tree<f32, @b>
  func.return %0 : !optim.tree<f32, @b>
}

// CHECK-LABEL: func.func @plus
// CHECK-NEXT:    %0 = optim.matmul <high> %a, %x plus (%s, %t, %x) : !optim.tree<f32, @a>, !optim.tree<f32, @x> -> !optim.tree<f32, @x>
func.func @plus(%a: !A, %x: !X, %s: f32, %t: f32) -> !X {
  %0 = optim.matmul <high> %a, %x plus (%s, %t, %x) : !A, !X -> !X
  func.return %0 : !X
}
