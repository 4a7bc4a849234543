// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// GENERIC-LABEL: sym_name = "elements"
// GENERIC:       "optim.map"(%g, %s, %c) <{leaves = @all, combiners = [#optim.combiner<none>]}> ({
// GENERIC-NEXT:  ^bb0(%x: f32, %y: f32, %z: f32):

// A body for every element: per-leaf values and scalars are broadcast.
// CHECK-LABEL: func.func @elements
// CHECK-NEXT:    %0 = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %s : !optim.tree<f32, @all, per_leaf>, %z = %c : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %1 = arith.mulf %x, %y : f32
// CHECK-NEXT:      %2 = arith.addf %1, %z : f32
// CHECK-NEXT:      optim.yield %2 : f32
// CHECK-NEXT:    }
func.func @elements(%g: !T, %s: !P, %c: f32) -> !T {
  %0 = optim.map over @all (%x = %g : !T, %y = %s : !P, %z = %c : f32) -> (!T) {
    %1 = arith.mulf %x, %y : f32
    %2 = arith.addf %1, %z : f32
    optim.yield %2 : f32
  }
  func.return %0 : !T
}

// GENERIC-LABEL: sym_name = "combined"
// GENERIC:       combiners = [#optim.combiner<none>, #optim.combiner<add>, #optim.combiner<max>, #optim.combiner<min>]
// CHECK-LABEL: func.func @combined
// CHECK-NEXT:    %0, %1, %2, %3 = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<bf16, @all>, !optim.tree<f32, @all, per_leaf> by <add>, f32 by <max>, f32 by <min>) {
func.func @combined(%g: !T) -> (!H, !P, f32, f32) {
  %0, %1, %2, %3 = optim.map over @all (%x = %g : !T) -> (!H, !P by <add>, f32 by <max>, f32 by <min>) {
    %h = arith.truncf %x : f32 to bf16
    optim.yield %h, %x, %x, %x : bf16, f32, f32, f32
  }
  func.return %0, %1, %2, %3 : !H, !P, f32, f32
}

// A body for every leaf.
// CHECK-LABEL: func.func @per_leaf
// CHECK-NEXT:    %0, %1 = optim.map over @all (%x = %s : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf>, f32 by <add>) {
func.func @per_leaf(%s: !P) -> (!P, f32) {
  %0, %1 = optim.map over @all (%x = %s : !P) -> (!P, f32 by <add>) {
    %2 = math.sqrt %x : f32
    optim.yield %2, %x : f32, f32
  }
  func.return %0, %1 : !P, f32
}

// Without operands the result says whether there is a value for every element or for every leaf.
// CHECK-LABEL: func.func @fills
// CHECK-NEXT:    %0 = optim.map over @all () -> (!optim.tree<f32, @all>) {
// CHECK:         %1 = optim.map over @all () -> (!optim.tree<f32, @all, per_leaf>) {
func.func @fills() -> (!T, !P) {
  %0 = optim.map over @all () -> (!T) {
    %c = arith.constant 0.0 : f32
    optim.yield %c : f32
  }
  %1 = optim.map over @all () -> (!P) {
    %c = arith.constant 1.0 : f32
    optim.yield %c : f32
  }
  func.return %0, %1 : !T, !P
}

// CHECK-LABEL: func.func @no_result
// CHECK-NEXT:    optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> () {
func.func @no_result(%g: !T) {
  optim.map over @all (%x = %g : !T) -> () {
    optim.yield
  }
  func.return
}

// CHECK-LABEL: func.func @integers
// CHECK-NEXT:    optim.map over @all (%x = %k : !optim.tree<i32, @all>, %ok = %c : i1) -> (!optim.tree<i32, @all>) {
func.func @integers(%k: !optim.tree<i32, @all>, %c: i1) -> !optim.tree<i32, @all> {
  %0 = optim.map over @all (%x = %k : !optim.tree<i32, @all>, %ok = %c : i1) -> (!optim.tree<i32, @all>) {
    %one = arith.constant 1 : i32
    %1 = arith.addi %x, %one : i32
    %2 = arith.select %ok, %1, %x : i32
    optim.yield %2 : i32
  }
  func.return %0 : !optim.tree<i32, @all>
}

!R = !optim.tree<f32, @matrices, rows>
!C = !optim.tree<f32, @matrices, columns>
!HR = !optim.tree<f32, @matrices, rows.heads>
!M = !optim.tree<f32, @matrices>

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1], rows.heads = []}]

// A body for every element: the values of rows and columns are broadcast, and each axis is folded.
// GENERIC-LABEL: sym_name = "rows_and_columns"
// GENERIC:       combiners = [#optim.combiner<none>, #optim.combiner<add>, #optim.combiner<max>]
// CHECK-LABEL: func.func @rows_and_columns
// CHECK-NEXT:    %0, %1, %2 = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>, %y = %r : !optim.tree<f32, @matrices, rows>, %z = %c : !optim.tree<f32, @matrices, columns>) -> (!optim.tree<f32, @matrices>, !optim.tree<f32, @matrices, rows> by <add>, !optim.tree<f32, @matrices, columns> by <max>) {
func.func @rows_and_columns(%g: !M, %r: !R, %c: !C) -> (!M, !R, !C) {
  %0, %1, %2 = optim.map over @matrices (%x = %g : !M, %y = %r : !R, %z = %c : !C) -> (!M, !R by <add>, !C by <max>) {
    %3 = arith.mulf %y, %z : f32
    optim.yield %3, %x, %x : f32, f32, f32
  }
  func.return %0, %1, %2 : !M, !R, !C
}

// A body for every value of an axis extent: coarser ones, per-leaf values and scalars are broadcast.
// CHECK-LABEL: func.func @over_rows
// CHECK-NEXT:    %0, %1, %2 = optim.map over @matrices (%x = %h : !optim.tree<f32, @matrices, rows.heads>, %y = %r : !optim.tree<f32, @matrices, rows>, %z = %s : f32) -> (!optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices, rows.heads> by <add>, f32 by <max>) {
func.func @over_rows(%r: !R, %h: !HR, %s: f32) -> (!R, !HR, f32) {
  %0, %1, %2 = optim.map over @matrices (%x = %h : !HR, %y = %r : !R, %z = %s : f32) -> (!R, !HR by <add>, f32 by <max>) {
    %3 = arith.mulf %x, %z : f32
    optim.yield %3, %y, %y : f32, f32, f32
  }
  func.return %0, %1, %2 : !R, !HR, f32
}

// CHECK-LABEL: func.func @fills_rows
// CHECK-NEXT:    %0 = optim.map over @matrices (%x = %s : f32) -> (!optim.tree<f32, @matrices, rows>) {
func.func @fills_rows(%s: f32) -> !R {
  %0 = optim.map over @matrices (%x = %s : f32) -> (!R) {
    optim.yield %x : f32
  }
  func.return %0 : !R
}

// Complex numbers are put together and taken apart, and added, and have a size.
// CHECK-LABEL: func.func @complex_elements
// CHECK-NEXT:    %0, %1 = optim.map over @all (%x = %z : !optim.tree<complex<f32>, @all>) -> (!optim.tree<complex<f32>, @all>, f32 by <add>) {
// CHECK-NEXT:      %2 = complex.re %x : complex<f32>
// CHECK-NEXT:      %3 = complex.im %x : complex<f32>
// CHECK-NEXT:      %4 = complex.create %3, %2 : complex<f32>
// CHECK-NEXT:      %5 = complex.add %4, %x : complex<f32>
// CHECK-NEXT:      %6 = complex.abs %x : complex<f32>
// CHECK-NEXT:      optim.yield %5, %6 : complex<f32>, f32
func.func @complex_elements(%z: !optim.tree<complex<f32>, @all>) -> (!optim.tree<complex<f32>, @all>, f32) {
  %0, %1 = optim.map over @all (%x = %z : !optim.tree<complex<f32>, @all>)
      -> (!optim.tree<complex<f32>, @all>, f32 by <add>) {
    %2 = complex.re %x : complex<f32>
    %3 = complex.im %x : complex<f32>
    %4 = complex.create %3, %2 : complex<f32>
    %5 = complex.add %4, %x : complex<f32>
    %6 = complex.abs %x : complex<f32>
    optim.yield %5, %6 : complex<f32>, f32
  }
  func.return %0, %1 : !optim.tree<complex<f32>, @all>, f32
}
