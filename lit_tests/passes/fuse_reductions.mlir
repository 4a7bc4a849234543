// RUN: optcc opt %s -p fuse-reductions | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK-LABEL: func.func @reduces_in_the_producer(
// CHECK-NEXT:    %s = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %s : f32
// CHECK-NEXT:  }
func.func @reduces_in_the_producer(%g: !T) -> f32 {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %s = optim.reduce <add> %a : !T -> f32
  func.return %s : f32
}

// CHECK-LABEL: func.func @reduces_an_argument_in_a_map_of_its_own(
// CHECK-NEXT:    %s = optim.map over @all (%g_1 = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <max>) {
// CHECK-NEXT:      optim.yield %g_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %s : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @reduces_an_argument_in_a_map_of_its_own(%g: !T) -> !P {
  %s = optim.reduce <max> %g : !T -> !P
  func.return %s : !P
}

// CHECK-LABEL: func.func @reduces_the_result_of_a_call(
// CHECK-NEXT:    %c = optim.call "f"(%g) : (!optim.tree<f32, @all>) -> !optim.tree<f32, @all>
// CHECK-NEXT:    %s = optim.map over @all (%c_1 = %c : !optim.tree<f32, @all>) -> (f32 by <min>) {
// CHECK-NEXT:      optim.yield %c_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %s : f32
// CHECK-NEXT:  }
func.func @reduces_the_result_of_a_call(%g: !T) -> f32 {
  %c = optim.call "f"(%g) : (!T) -> !T
  %s = optim.reduce <min> %c : !T -> f32
  func.return %s : f32
}

// Refusal: a tree with another user is still a result.
// CHECK-LABEL: func.func @keeps_result_with_other_users(
// CHECK-NEXT:    %a, %s = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y, %y : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %s : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @keeps_result_with_other_users(%g: !T) -> (!T, f32) {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %s = optim.reduce <add> %a : !T -> f32
  func.return %a, %s : !T, f32
}

// CHECK-LABEL: func.func @reduces_one_value_in_several_ways(
// CHECK-NEXT:    %p, %m, %s = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <add>, f32 by <max>, f32 by <add>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y, %y, %y : f32, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %s, %m, %p : f32, f32, !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @reduces_one_value_in_several_ways(%g: !T) -> (f32, f32, !P) {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %s = optim.reduce <add> %a : !T -> f32
  %m = optim.reduce <max> %a : !T -> f32
  %p = optim.reduce <add> %a : !T -> !P
  func.return %s, %m, %p : f32, f32, !P
}

// CHECK-LABEL: func.func @keeps_combined_results_of_the_producer(
// CHECK-NEXT:    %n, %s = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <max>, f32 by <add>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %x, %y : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n, %s : f32, f32
// CHECK-NEXT:  }
func.func @keeps_combined_results_of_the_producer(%g: !T) -> (f32, f32) {
  %a, %n = optim.map over @all (%x = %g : !T) -> (!T, f32 by <max>) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y, %x : f32, f32
  }
  %s = optim.reduce <add> %a : !T -> f32
  func.return %n, %s : f32, f32
}

// CHECK-LABEL: func.func @reduces_per_leaf_values(
// CHECK-NEXT:    %n = optim.map over @all (%x = %s : !optim.tree<f32, @all, per_leaf>) -> (f32 by <add>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n : f32
// CHECK-NEXT:  }
func.func @reduces_per_leaf_values(%s: !P) -> f32 {
  %a = optim.map over @all (%x = %s : !P) -> (!P) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %n = optim.reduce <add> %a : !P -> f32
  func.return %n : f32
}

// Refusal: this map takes its extent from its result. Without the result it would run once for every leaf.
// CHECK-LABEL: func.func @keeps_reduction_of_a_fill(
// CHECK-NEXT:    %a = optim.map over @all (%x = %c : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %s = optim.reduce <add> %a : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    func.return %s : f32
// CHECK-NEXT:  }
func.func @keeps_reduction_of_a_fill(%c: f32) -> f32 {
  %a = optim.map over @all (%x = %c : f32) -> (!T) {
    optim.yield %x : f32
  }
  %s = optim.reduce <add> %a : !T -> f32
  func.return %s : f32
}

// CHECK-LABEL: func.func @reduces_a_fill_that_is_stored(
// CHECK-NEXT:    %a, %s = optim.map over @all (%x = %c : f32) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      optim.yield %x, %x : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %s : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @reduces_a_fill_that_is_stored(%c: f32) -> (!T, f32) {
  %a = optim.map over @all (%x = %c : f32) -> (!T) {
    optim.yield %x : f32
  }
  %s = optim.reduce <add> %a : !T -> f32
  func.return %a, %s : !T, f32
}

// Refusal: the maximum of the sums is not a maximum over elements.
// CHECK-LABEL: func.func @keeps_fold_of_a_fold(
// CHECK-NEXT:    %p = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %m = optim.map over @all (%p_1 = %p : !optim.tree<f32, @all, per_leaf>) -> (f32 by <max>) {
func.func @keeps_fold_of_a_fold(%g: !T) -> f32 {
  %p = optim.map over @all (%x = %g : !T) -> (!P by <add>) {
    optim.yield %x : f32
  }
  %m = optim.reduce <max> %p : !P -> f32
  func.return %m : f32
}

!M = !optim.tree<f32, @matrices>
!R = !optim.tree<f32, @matrices, rows>
!C = !optim.tree<f32, @matrices, columns>
!L = !optim.tree<f32, @matrices, per_leaf>

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1], rows.heads = []}, "u" : [2, 5] {rows = [0], columns = [1], rows.heads = []}]

// Folds over rows and over columns are results of the map that makes the elements.
// CHECK-LABEL: func.func @reduces_to_axis_extents(
// CHECK-NEXT:    %c, %r = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>) -> (!optim.tree<f32, @matrices, columns> by <max>, !optim.tree<f32, @matrices, rows> by <add>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y, %y : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %r, %c : !optim.tree<f32, @matrices, rows>, !optim.tree<f32, @matrices, columns>
// CHECK-NEXT:  }
func.func @reduces_to_axis_extents(%g: !M) -> (!R, !C) {
  %a = optim.map over @matrices (%x = %g : !M) -> (!M) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %r = optim.reduce <add> %a : !M -> !R
  %c = optim.reduce <max> %a : !M -> !C
  func.return %r, %c : !R, !C
}

// CHECK-LABEL: func.func @reduces_values_of_rows(
// CHECK-NEXT:    %n, %h = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>) -> (f32 by <add>, !optim.tree<f32, @matrices, rows.heads> by <add>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y, %y : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %h, %n : !optim.tree<f32, @matrices, rows.heads>, f32
// CHECK-NEXT:  }
func.func @reduces_values_of_rows(%r: !R) -> (!optim.tree<f32, @matrices, rows.heads>, f32) {
  %a = optim.map over @matrices (%x = %r : !R) -> (!R) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %h = optim.reduce <add> %a : !R -> !optim.tree<f32, @matrices, rows.heads>
  %n = optim.reduce <add> %a : !R -> f32
  func.return %h, %n : !optim.tree<f32, @matrices, rows.heads>, f32
}

// Refusal: without the result that it fills, the map would run once for every row.
// CHECK-LABEL: func.func @keeps_reduction_of_a_broadcast(
// CHECK-NEXT:    %a = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>) -> (!optim.tree<f32, @matrices>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %c = optim.reduce <add> %a : !optim.tree<f32, @matrices> -> !optim.tree<f32, @matrices, columns>
// CHECK-NEXT:    func.return %c : !optim.tree<f32, @matrices, columns>
// CHECK-NEXT:  }
func.func @keeps_reduction_of_a_broadcast(%r: !R) -> !C {
  %a = optim.map over @matrices (%x = %r : !R) -> (!M) {
    optim.yield %x : f32
  }
  %c = optim.reduce <add> %a : !M -> !C
  func.return %c : !C
}
