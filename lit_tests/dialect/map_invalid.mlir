// RUN: optcc opt %s --split-input-file | filecheck %s

!U = !optim.tree<f32, @other>
optim.leaves @all = ["w" : [3, 4]]
optim.leaves @other = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C1): !optim.tree<f32, @other> is not over the leaf set @all of the op
func.func @c1_operand(%g: !U) -> f32 {
  %0 = optim.map over @all (%x = %g : !U) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
!U = !optim.tree<f32, @other>
optim.leaves @all = ["w" : [3, 4]]
optim.leaves @other = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C1): !optim.tree<f32, @other> is not over the leaf set @all of the op
func.func @c1_result(%g: !T) -> !U {
  %0 = optim.map over @all (%x = %g : !T) -> (!U) {
    optim.yield %x : f32
  }
  func.return %0 : !U
}

// -----

!T = !optim.tree<bf16, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C2): the body takes (f32), but the operands' elements are (bf16)
func.func @c2_type(%g: !T) -> f32 {
  %0 = "optim.map"(%g) <{leaves = @all, combiners = [#optim.combiner<add>]}> ({
  ^bb0(%x: f32):
    optim.yield %x : f32
  }) : (!T) -> f32
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C2): the body takes (f32), but the operands' elements are (f32, f32)
func.func @c2_count(%g: !T, %s: f32) -> f32 {
  %0 = "optim.map"(%g, %s) <{leaves = @all, combiners = [#optim.combiner<add>]}> ({
  ^bb0(%x: f32):
    optim.yield %x : f32
  }) : (!T, f32) -> f32
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C3): the body yields (f32), but the results' elements are (bf16)
func.func @c3_type(%g: !T) -> !optim.tree<bf16, @all> {
  %0 = optim.map over @all (%x = %g : !T) -> (!optim.tree<bf16, @all>) {
    optim.yield %x : f32
  }
  func.return %0 : !optim.tree<bf16, @all>
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C3): the body yields (f32, f32), but the results' elements are (f32)
func.func @c3_count(%g: !T) -> !T {
  %0 = optim.map over @all (%x = %g : !T) -> (!T) {
    optim.yield %x, %x : f32, f32
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C4): 1 results, but 2 combiners
func.func @c4_count(%g: !T) -> f32 {
  %0 = "optim.map"(%g) <{leaves = @all, combiners = [#optim.combiner<add>, #optim.combiner<add>]}> ({
  ^bb0(%x: f32):
    optim.yield %x : f32
  }) : (!T) -> f32
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C4): a result is a tree or a scalar, got index
func.func @c4_kind(%g: !T) -> index {
  %0 = optim.map over @all (%x = %g : !T) -> (index by <add>) {
    %1 = arith.constant 1 : index
    optim.yield %1 : index
  }
  func.return %0 : index
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C4): result f32 needs a combiner, such as `by <add>`
func.func @c4_scalar_without_combiner(%g: !T) -> f32 {
  %0 = optim.map over @all (%x = %g : !T) -> (f32) {
    optim.yield %x : f32
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all, per_leaf> needs a combiner, such as `by <add>`
func.func @c4_leaf_without_combiner(%g: !T) -> !P {
  %0 = optim.map over @all (%x = %g : !T) -> (!P) {
    optim.yield %x : f32
  }
  func.return %0 : !P
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all> has a combiner, but keeps the extent of the operands
func.func @c4_elements_with_combiner(%g: !T) -> !T {
  %0 = optim.map over @all (%x = %g : !T) -> (!T by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4]]

// Elements cannot be folded out of per-leaf values, either.
// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all> has a combiner, but keeps the extent of the operands
func.func @c4_elements_from_leaves(%s: !P) -> !T {
  %0 = optim.map over @all (%x = %s : !P) -> (!T by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : !T
}

// -----

!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all, per_leaf> has a combiner, but keeps the extent of the operands
func.func @c4_leaf_with_combiner(%s: !P) -> !P {
  %0 = optim.map over @all (%x = %s : !P) -> (!P by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : !P
}

// -----

optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C5): combiner max needs a float, got i32
func.func @c5(%k: !optim.tree<i32, @all>) -> i32 {
  %0 = optim.map over @all (%x = %k : !optim.tree<i32, @all>) -> (i32 by <max>) {
    optim.yield %x : i32
  }
  func.return %0 : i32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C6): 'arith.constant' is not a pure op on scalars
func.func @c6_type(%g: !T) -> !T {
  %0 = optim.map over @all (%x = %g : !T) -> (!T) {
    %1 = arith.constant 1 : index
    optim.yield %x : f32
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]
func.func private @outside(f32) -> f32

// CHECK: error: 'optim.map' (C6): 'func.call' is not a pure op on scalars
func.func @c6_effect(%g: !T) -> !T {
  %0 = optim.map over @all (%x = %g : !T) -> (!T) {
    %1 = func.call @outside(%x) : (f32) -> f32
    optim.yield %1 : f32
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map' (C6): 'optim.map' is not a pure op on scalars
func.func @c6_region(%g: !T) -> !T {
  %0 = optim.map over @all (%x = %g : !T) -> (!T) {
    optim.map over @all (%y = %x : f32) -> () {
      optim.yield
    }
    optim.yield %x : f32
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>

// CHECK: error: 'optim.map': leaf set @all is not defined; add `optim.leaves @all = [...]` to the module
func.func @undefined_leaf_set(%g: !T) -> !T {
  %0 = optim.map over @all (%x = %g : !T) -> (!T) {
    optim.yield %x : f32
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: Expected `none`, `add`, `max`, or `min`.
func.func @unknown_combiner(%g: !T) -> f32 {
  %0 = optim.map over @all (%x = %g : !T) -> (f32 by <mul>) {
    optim.yield %x : f32
  }
  func.return %0 : f32
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.map' (C2): an operand is a tree or a scalar, got !optim.key<"rbg">
func.func @c2_key(%g: !M, %k: !optim.key<"rbg">) -> !M {
  %0 = optim.map over @all (%x = %g : !M, %y = %k : !optim.key<"rbg">) -> (!M) {
    optim.yield %x : f32
  }
  func.return %0 : !M
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all, rows> needs a combiner, such as `by <add>`
func.func @c4_rows_without_combiner(%g: !M) -> !R {
  %0 = optim.map over @all (%x = %g : !M) -> (!R) {
    optim.yield %x : f32
  }
  func.return %0 : !R
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all, rows> has a combiner, but keeps the extent of the operands
func.func @c4_rows_with_combiner(%r: !R) -> !R {
  %0 = optim.map over @all (%x = %r : !R) -> (!R by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : !R
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// Columns cannot be folded out of rows.
// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all, columns> has a combiner, but keeps the extent of the operands
func.func @c4_columns_from_rows(%r: !R) -> !C {
  %0 = optim.map over @all (%x = %r : !R) -> (!C by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : !C
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.map' (C4): result !optim.tree<f32, @all, rows> has a combiner, but keeps the extent of the operands
func.func @c4_rows_from_leaves(%s: !P) -> !R {
  %0 = optim.map over @all (%x = %s : !P) -> (!R by <max>) {
    optim.yield %x : f32
  }
  func.return %0 : !R
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.map' (C5): combiner add needs a float, got complex<f32>
func.func @c5_complex(%z: !optim.tree<complex<f32>, @all>) -> complex<f32> {
  %0 = optim.map over @all (%x = %z : !optim.tree<complex<f32>, @all>) -> (complex<f32> by <add>) {
    optim.yield %x : complex<f32>
  }
  func.return %0 : complex<f32>
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// Rows and columns meet only where there are elements.
// CHECK: error: 'optim.map' (C7): !optim.tree<f32, @all, columns> cannot be broadcast to the extent rows
func.func @c7(%r: !R, %c: !C) -> !R {
  %0 = optim.map over @all (%x = %r : !R, %y = %c : !C) -> (!R) {
    optim.yield %x : f32
  }
  func.return %0 : !R
}

// -----

!R = !optim.tree<f32, @all, rows>
optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4]]

// CHECK: error: 'optim.map': !optim.tree<f32, @all, rows>: leaf "b" has no axis extent "rows"
func.func @missing_axis_extent(%r: !R) -> f32 {
  %0 = optim.map over @all (%x = %r : !R) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %0 : f32
}
