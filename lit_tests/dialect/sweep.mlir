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
// GENERIC:       %new, %own, %sum = "optim.sweep"(%b, %a) <{operandSegmentSizes = array<i32: 1, 1>}> ({
// GENERIC-NEXT:  ^bb0(%b0: !optim.tree<f32, @b>, %a0: !optim.tree<f32, @a>):
// GENERIC:         "optim.yield"(%x1, %y1, %s1) : (!optim.tree<f32, @a>, !optim.tree<f32, @b>, f32) -> ()
// GENERIC-NEXT:  }) : (!optim.tree<f32, @b>, !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @b>, f32)
// CHECK-LABEL: func.func @parts
// CHECK:         %new, %own, %sum = optim.sweep ins(%b0 = %b : !optim.tree<f32, @b>) outs(%a0 = %a : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @b>, f32) {
// CHECK-NEXT:      %x1, %s1 = optim.map over @a
// CHECK:           %y1 = optim.map over @b
// CHECK:           optim.yield %x1, %y1, %s1 : !optim.tree<f32, @a>, !optim.tree<f32, @b>, f32
// CHECK-NEXT:    }
func.func @parts(%g: !T, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, f32) {
  %a, %b = optim.split %mu : !T -> !A, !B
  %new, %own, %sum = optim.sweep ins(%b0 = %b : !B) outs(%a0 = %a : !A) -> (!A, !B, f32) {
    %x1, %s1 = optim.map over @a (%x = %a0 : !A) -> (!A, f32 by <add>) {
      optim.yield %x, %x : f32, f32
    }
    %y1 = optim.map over @b (%y = %b0 : !B) -> (!B) {
      optim.yield %y : f32
    }
    optim.yield %x1, %y1, %s1 : !A, !B, f32
  }
  %mu1 = optim.join %new, %own : !A, !B -> !T
  func.return %mu1, %sum : !T, f32
}

// What the body does not read may be overwritten, too. The part with the other leaves, and what was read before, are
// used after the sweep.
// CHECK-LABEL: func.func @reads_that_are_allowed
// CHECK:         %new = optim.sweep ins() outs(%a0 = %a : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
func.func @reads_that_are_allowed(%mu: !T) -> (!A, !B, f32) {
  %early = optim.reduce <add> %mu : !T -> f32
  %a, %b = optim.split %mu : !T -> !A, !B
  %new = optim.sweep ins() outs(%a0 = %a : !A) -> (!A) {
    %x1 = optim.map over @a () -> (!A) {
      %0 = arith.constant 1.0 : f32
      optim.yield %0 : f32
    }
    optim.yield %x1 : !A
  }
  %late, %rest = optim.split %mu : !T -> !A, !B
  func.return %new, %rest, %early : !A, !B, f32
}

// A map may read a per-leaf value, and fold without a tree result.
// CHECK-LABEL: func.func @folds
// CHECK-NEXT:    %n = optim.sweep ins(%g0 = %g : !optim.tree<f32, @a>, %s0 = %s : !optim.tree<f32, @a, per_leaf>) outs() -> (!optim.tree<f32, @a, per_leaf>) {
func.func @folds(%g: !A, %s: !P) -> !P {
  %n = optim.sweep ins(%g0 = %g : !A, %s0 = %s : !P) outs() -> (!P) {
    %m = optim.map over @a (%x = %g0 : !A, %y = %s0 : !P) -> (!P by <max>) {
      %z = arith.mulf %x, %y : f32
      optim.yield %z : f32
    }
    optim.yield %m : !P
  }
  func.return %n : !P
}

!M = !optim.tree<f32, @matrices>
!R = !optim.tree<f32, @matrices, rows>
!C = !optim.tree<f32, @matrices, columns>
optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1]}]

// A fold over axes gets memory of its own.
// CHECK-LABEL: func.func @axis_results
// CHECK-NEXT:    %new, %rows = optim.sweep ins(%c0 = %c : !optim.tree<f32, @matrices, columns>) outs(%p0 = %p : !optim.tree<f32, @matrices>) -> (!optim.tree<f32, @matrices>, !optim.tree<f32, @matrices, rows>) {
func.func @axis_results(%p: !M {optim.slot = #optim.slot<params>}, %c: !C) -> (!R, !M {optim.slot = #optim.slot<params>}) {
  %new, %rows = optim.sweep ins(%c0 = %c : !C) outs(%p0 = %p : !M) -> (!M, !R) {
    %r, %u = optim.map over @matrices (%x = %p0 : !M, %y = %c0 : !C) -> (!R by <add>, !M) {
      %z = arith.mulf %x, %y : f32
      optim.yield %x, %z : f32, f32
    }
    optim.yield %u, %r : !M, !R
  }
  func.return %rows, %new : !R, !M
}
