// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
!P = !optim.tree<f32, @a, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// Two maps over disjoint sets: a part of `mu` is overwritten; a sum and a new array get memory of their own.
// GENERIC-LABEL: sym_name = "parts"
// GENERIC:       %new, %own, %sum = "optim.sweep"() <{writes = ["mu", "", ""]}> ({
// GENERIC:         "optim.yield"(%x1, %y1, %s1) : (!optim.tree<f32, @a>, !optim.tree<f32, @b>, f32) -> ()
// GENERIC-NEXT:  }) : () -> (!optim.tree<f32, @a>, !optim.tree<f32, @b>, f32)
// CHECK-LABEL: func.func @parts
// CHECK:         %new, %own, %sum = optim.sweep writes ["mu", "", ""] {
// CHECK-NEXT:      %x1, %s1 = optim.map over @a
// CHECK:           %y1 = optim.map over @b
// CHECK:           optim.yield %x1, %y1, %s1 : !optim.tree<f32, @a>, !optim.tree<f32, @b>, f32
// CHECK-NEXT:    } -> !optim.tree<f32, @a>, !optim.tree<f32, @b>, f32
func.func @parts(%g: !T, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, f32) {
  %a, %b = optim.split %mu : !T -> !A, !B
  %new, %own, %sum = optim.sweep writes ["mu", "", ""] {
    %x1, %s1 = optim.map over @a (%x = %a : !A) -> (!A, f32 by <add>) {
      optim.yield %x, %x : f32, f32
    }
    %y1 = optim.map over @b (%y = %b : !B) -> (!B) {
      optim.yield %y : f32
    }
    optim.yield %x1, %y1, %s1 : !A, !B, f32
  } -> !A, !B, f32
  %mu1 = optim.join %new, %own : !A, !B -> !T
  func.return %mu1, %sum : !T, f32
}

// A map may read a per-leaf value, and fold without a tree result.
// CHECK-LABEL: func.func @folds
// CHECK-NEXT:    %n = optim.sweep writes [""] {
// CHECK:         } -> !optim.tree<f32, @a, per_leaf>
func.func @folds(%g: !A, %s: !P) -> !P {
  %n = optim.sweep writes [""] {
    %m = optim.map over @a (%x = %g : !A, %y = %s : !P) -> (!P by <max>) {
      %z = arith.mulf %x, %y : f32
      optim.yield %z : f32
    }
    optim.yield %m : !P
  } -> !P
  func.return %n : !P
}

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1]}]

// A fold over axes gets memory of its own.
// CHECK-LABEL: func.func @axis_results
// CHECK-NEXT:    %rows, %new = optim.sweep writes ["", "params"] {
// CHECK:         } -> !optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices>
func.func @axis_results(%p: !optim.tree<f32, @matrices> {optim.slot = #optim.slot<params>}, %c: !optim.tree<f32, @matrices, columns>)
    -> (!optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices> {optim.slot = #optim.slot<params>}) {
  %rows, %new = optim.sweep writes ["", "params"] {
    %r, %u = optim.map over @matrices (%x = %p : !optim.tree<f32, @matrices>, %y = %c : !optim.tree<f32, @matrices, columns>)
        -> (!optim.tree<f32, @matrices, rows> by <add>, !optim.tree<f32, @matrices>) {
      %z = arith.mulf %x, %y : f32
      optim.yield %x, %z : f32, f32
    }
    optim.yield %r, %u : !optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices>
  } -> !optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices>
  func.return %rows, %new : !optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices>
}
