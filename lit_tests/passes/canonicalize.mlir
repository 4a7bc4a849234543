// RUN: optcc opt %s -p canonicalize | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]
optim.leaves @b_again = ["b" : [4]]

// An operand given twice, one that is not used, and a result given twice.
// CHECK-LABEL: func.func @drops_operands_and_results(
// CHECK-NEXT:    %a = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %a : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @drops_operands_and_results(%g: !T, %p: !T) -> (!T, !T) {
  %a, %b = optim.map over @all (%x = %g : !T, %y = %g : !T, %z = %p : !T) -> (!T, !T) {
    %s = arith.mulf %x, %y : f32
    optim.yield %s, %s : f32, f32
  }
  func.return %a, %b : !T, !T
}

// CHECK-LABEL: func.func @drops_unused_result(
// CHECK-NEXT:    %a = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @drops_unused_result(%g: !T, %p: !T) -> !T {
  %a, %b = optim.map over @all (%x = %g : !T, %y = %p : !T) -> (!T, f32 by <add>) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s, %y : f32, f32
  }
  func.return %a : !T
}

// One value folded in two ways, or to two extents, is two results.
// CHECK-LABEL: func.func @keeps_results_that_differ(
// CHECK-NEXT:    %a, %b, %c = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>, f32 by <max>, !optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK-NEXT:      optim.yield %x, %x, %x : f32, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %b, %c : f32, f32, !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @keeps_results_that_differ(%g: !T) -> (f32, f32, !P) {
  %a, %b, %c = optim.map over @all (%x = %g : !T) -> (f32 by <add>, f32 by <max>, !P by <add>) {
    optim.yield %x, %x, %x : f32, f32, f32
  }
  func.return %a, %b, %c : f32, f32, !P
}

// Refusal: without %g the body would run once for every leaf.
// CHECK-LABEL: func.func @keeps_operand_that_gives_the_extent(
// CHECK-NEXT:    %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %s : !optim.tree<f32, @all, per_leaf>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n : f32
// CHECK-NEXT:  }
func.func @keeps_operand_that_gives_the_extent(%g: !T, %s: !P) -> f32 {
  %n = optim.map over @all (%x = %g : !T, %y = %s : !P) -> (f32 by <add>) {
    optim.yield %y : f32
  }
  func.return %n : f32
}

// CHECK-LABEL: func.func @forwards_identity(
// CHECK-NEXT:    func.return %g : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @forwards_identity(%g: !T) -> !T {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    optim.yield %x : f32
  }
  func.return %u : !T
}

// Refusal: a broadcast of per-leaf values is no identity.
// CHECK-LABEL: func.func @keeps_broadcast(
// CHECK-NEXT:    %u = optim.map over @all (%x = %s : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_broadcast(%s: !P) -> !T {
  %u = optim.map over @all (%x = %s : !P) -> (!T) {
    optim.yield %x : f32
  }
  func.return %u : !T
}

// Refusal: a sum of one scalar over all elements is not the scalar.
// CHECK-LABEL: func.func @keeps_fold_of_scalar(
// CHECK-NEXT:    %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %s : f32) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n : f32
// CHECK-NEXT:  }
func.func @keeps_fold_of_scalar(%g: !T, %s: f32) -> f32 {
  %n = optim.map over @all (%x = %g : !T, %y = %s : f32) -> (f32 by <add>) {
    optim.yield %y : f32
  }
  func.return %n : f32
}

// CHECK-LABEL: func.func @undoes_split_of_join(
// CHECK-NEXT:    func.return %y, %x : !optim.tree<f32, @b>, !optim.tree<f32, @a>
// CHECK-NEXT:  }
func.func @undoes_split_of_join(%x: !A, %y: !B) -> (!B, !A) {
  %w = optim.join %x, %y : !A, !B -> !T
  %b, %a = optim.split %w : !T -> !B, !A
  func.return %b, %a : !B, !A
}

// Refusal: these parts are not those that were joined.
// CHECK-LABEL: func.func @keeps_split_into_other_parts(
// CHECK-NEXT:    %w = optim.join %x, %y : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    %a, %b = optim.split %w : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b_again>
// CHECK-NEXT:    func.return %a, %b : !optim.tree<f32, @a>, !optim.tree<f32, @b_again>
// CHECK-NEXT:  }
func.func @keeps_split_into_other_parts(%x: !A, %y: !B) -> (!A, !optim.tree<f32, @b_again>) {
  %w = optim.join %x, %y : !A, !B -> !T
  %a, %b = optim.split %w : !T -> !A, !optim.tree<f32, @b_again>
  func.return %a, %b : !A, !optim.tree<f32, @b_again>
}

// CHECK-LABEL: func.func @converts_constants(
// CHECK-NEXT:    %a = arith.constant 1.000000e-01 : f32
// CHECK-NEXT:    %b = arith.constant 3.339840e-01 : bf16
// CHECK-NEXT:    %c = arith.constant 0.3333333432674408 : f64
// CHECK-NEXT:    func.return %a, %b, %c : f32, bf16, f64
// CHECK-NEXT:  }
func.func @converts_constants() -> (f32, bf16, f64) {
  %tenth = arith.constant 0.1 : f64
  %third = arith.constant 0.3333333333333333 : f32
  %a = arith.truncf %tenth : f64 to f32
  %b = arith.truncf %third : f32 to bf16
  %c = arith.extf %third : f32 to f64
  func.return %a, %b, %c : f32, bf16, f64
}

// The sum is rounded to f32: 1 + 2^-30 is 1.
// CHECK-LABEL: func.func @folds_constants_in_their_type(
// CHECK-NEXT:    %sum = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:    %b = arith.constant 4 : i32
// CHECK-NEXT:    func.return %sum, %b : f32, i32
// CHECK-NEXT:  }
func.func @folds_constants_in_their_type() -> (f32, i32) {
  %one = arith.constant 1.0 : f32
  %small = arith.constant 9.313225746154785e-10 : f32
  %sum = arith.addf %one, %small : f32
  %a = arith.constant 2 : i32
  %b = arith.muli %a, %a : i32
  func.return %sum, %b : f32, i32
}

// Refusal: float identities that would change a NaN, an infinity or the sign of a zero.
// CHECK-LABEL: func.func @keeps_float_arithmetic(
// CHECK-NEXT:    %zero = arith.constant 0.000000e+00 : f32
// CHECK-NEXT:    %a = arith.mulf %x, %zero : f32
// CHECK-NEXT:    %b = arith.addf %x, %zero : f32
// CHECK-NEXT:    %c = arith.subf %x, %x : f32
// CHECK-NEXT:    func.return %a, %b, %c : f32, f32, f32
// CHECK-NEXT:  }
func.func @keeps_float_arithmetic(%x: f32) -> (f32, f32, f32) {
  %zero = arith.constant 0.0 : f32
  %a = arith.mulf %x, %zero : f32
  %b = arith.addf %x, %zero : f32
  %c = arith.subf %x, %x : f32
  func.return %a, %b, %c : f32, f32, f32
}

// CHECK-LABEL: func.func @conversion_to_infinity
// CHECK-NEXT:    arith.constant 0x7f800000 : f32
func.func @conversion_to_infinity() -> f32 {
  %big = arith.constant 1.0e+300 : f64
  %0 = arith.truncf %big : f64 to f32
  func.return %0 : f32
}

optim.leaves @matrices = ["w" : [3, 4] {rows = [0]}]
optim.leaves @v_row = ["w" : [3]]

// CHECK-LABEL: func.func @drops_reshape_to_itself(
// CHECK-NEXT:    func.return %v : !optim.tree<f32, @v_row>
// CHECK-NEXT:  }
func.func @drops_reshape_to_itself(%v: !optim.tree<f32, @v_row>) -> !optim.tree<f32, @v_row> {
  %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @v_row>
  func.return %0 : !optim.tree<f32, @v_row>
}

// Refusal: the shapes differ.
// CHECK-LABEL: func.func @keeps_reshape_to_rows(
// CHECK-NEXT:    %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @matrices, rows>
// CHECK-NEXT:    func.return %0 : !optim.tree<f32, @matrices, rows>
// CHECK-NEXT:  }
func.func @keeps_reshape_to_rows(%v: !optim.tree<f32, @v_row>) -> !optim.tree<f32, @matrices, rows> {
  %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @matrices, rows>
  func.return %0 : !optim.tree<f32, @matrices, rows>
}

// Refusal: the operand is not used, but without it the map would run once for every leaf.
// CHECK-LABEL: func.func @keeps_operand_that_gives_the_rows(
// CHECK-NEXT:    %n = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>, %y = %s : f32) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n : f32
// CHECK-NEXT:  }
func.func @keeps_operand_that_gives_the_rows(%r: !optim.tree<f32, @matrices, rows>, %s: f32) -> f32 {
  %n = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>, %y = %s : f32) -> (f32 by <add>) {
    optim.yield %y : f32
  }
  func.return %n : f32
}

// An operand over coarser values gives no extent.
// CHECK-LABEL: func.func @drops_operand_that_is_broadcast(
// CHECK-NEXT:    %n = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n : f32
// CHECK-NEXT:  }
func.func @drops_operand_that_is_broadcast(%g: !optim.tree<f32, @matrices>, %r: !optim.tree<f32, @matrices, rows>) -> f32 {
  %n = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>, %y = %r : !optim.tree<f32, @matrices, rows>)
      -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %n : f32
}

// A part of what was made of parts, and a number made of both parts of another; one with its parts the other way round
// is another number.
// CHECK-LABEL: func.func @parts_of_complex_numbers(
// CHECK-NEXT:    %0, %1, %2 = optim.map over @all (%x = %z : !optim.tree<complex<f32>, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<complex<f32>, @all>) {
// CHECK-NEXT:      %re = complex.re %x : complex<f32>
// CHECK-NEXT:      %im = complex.im %x : complex<f32>
// CHECK-NEXT:      %swapped = complex.create %im, %re : complex<f32>
// CHECK-NEXT:      optim.yield %im, %re, %swapped : f32, f32, complex<f32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %0, %1, %2, %z : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<complex<f32>, @all>, !optim.tree<complex<f32>, @all>
// CHECK-NEXT:  }
func.func @parts_of_complex_numbers(%z: !optim.tree<complex<f32>, @all>)
    -> (!T, !T, !optim.tree<complex<f32>, @all>, !optim.tree<complex<f32>, @all>) {
  %0, %1, %2, %3 = optim.map over @all (%x = %z : !optim.tree<complex<f32>, @all>)
      -> (!T, !T, !optim.tree<complex<f32>, @all>, !optim.tree<complex<f32>, @all>) {
    %re = complex.re %x : complex<f32>
    %im = complex.im %x : complex<f32>
    %swapped = complex.create %im, %re : complex<f32>
    %a = complex.re %swapped : complex<f32>
    %b = complex.im %swapped : complex<f32>
    %same = complex.create %re, %im : complex<f32>
    optim.yield %a, %b, %swapped, %same : f32, f32, complex<f32>, complex<f32>
  }
  func.return %0, %1, %2, %3 : !T, !T, !optim.tree<complex<f32>, @all>, !optim.tree<complex<f32>, @all>
}
