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
