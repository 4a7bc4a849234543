// RUN: optcc opt %s -p fuse-maps | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @producer_and_user(
// CHECK-NEXT:    %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %p : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %s_1 = arith.addf %s, %y : f32
// CHECK-NEXT:      optim.yield %s_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @producer_and_user(%g: !T, %p: !T) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %b = optim.map over @all (%x = %a : !T, %y = %p : !T) -> (!T) {
    %s = arith.addf %x, %y : f32
    optim.yield %s : f32
  }
  func.return %b : !T
}

// One operand of both is read once.
// CHECK-LABEL: func.func @side_by_side(
// CHECK-NEXT:    %a, %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %k = %c : f32) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %t = arith.mulf %x, %k : f32
// CHECK-NEXT:      optim.yield %s, %t : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %b : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @side_by_side(%g: !T, %c: f32) -> (!T, f32) {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %b = optim.map over @all (%y = %g : !T, %k = %c : f32) -> (f32 by <add>) {
    %t = arith.mulf %y, %k : f32
    optim.yield %t : f32
  }
  func.return %a, %b : !T, f32
}

// CHECK-LABEL: func.func @keeps_intermediate_that_is_returned(
// CHECK-NEXT:    %a, %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %t = math.sqrt %s : f32
// CHECK-NEXT:      optim.yield %s, %t : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %b : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_intermediate_that_is_returned(%g: !T) -> (!T, !T) {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %b = optim.map over @all (%x = %a : !T) -> (!T) {
    %t = math.sqrt %x : f32
    optim.yield %t : f32
  }
  func.return %a, %b : !T, !T
}

// The reduction moves behind the fused map.
// CHECK-LABEL: func.func @reduction_between_maps(
// CHECK-NEXT:    %a, %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %t = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %s, %t : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %n = optim.reduce <add> %a : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    func.return %b, %n : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @reduction_between_maps(%g: !T) -> (!T, f32) {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %n = optim.reduce <add> %a : !T -> f32
  %b = optim.map over @all (%x = %g : !T) -> (!T) {
    %t = math.sqrt %x : f32
    optim.yield %t : f32
  }
  func.return %b, %n : !T, f32
}

// Refusal: the user waits for the sum of all elements.
// CHECK-LABEL: func.func @apart_across_reduction(
// CHECK-NEXT:    %a = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %n = optim.reduce <add> %a : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %t = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @apart_across_reduction(%g: !T) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %n = optim.reduce <add> %a : !T -> f32
  %b = optim.map over @all (%x = %g : !T, %y = %n : f32) -> (!T) {
    %t = arith.divf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// Refusal: the same with the sum as a result of the map, and arithmetic in between.
// CHECK-LABEL: func.func @apart_across_combined_result(
// CHECK-NEXT:    %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %r = math.sqrt %n : f32
// CHECK-NEXT:    %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %r : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %t = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @apart_across_combined_result(%g: !T) -> !T {
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %r = math.sqrt %n : f32
  %b = optim.map over @all (%x = %g : !T, %y = %r : f32) -> (!T) {
    %t = arith.divf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// Refusal: the callee takes its operand from memory.
// CHECK-LABEL: func.func @apart_across_call(
// CHECK-NEXT:    %a = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %c = optim.call "f"(%a) : (!optim.tree<f32, @all>) -> !optim.tree<f32, @all>
// CHECK-NEXT:    %b = optim.map over @all (%x = %c : !optim.tree<f32, @all>, %y = %a : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %t = arith.addf %x, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @apart_across_call(%g: !T) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %c = optim.call "f"(%a) : (!T) -> !T
  %b = optim.map over @all (%x = %c : !T, %y = %a : !T) -> (!T) {
    %t = arith.addf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// A call of scalars is no barrier.
// CHECK-LABEL: func.func @together_across_call_of_scalars(
// CHECK-NEXT:    %lr = optim.call "schedule"(%count) : (i32) -> f32
// CHECK-NEXT:    %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %lr : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %t = arith.mulf %s, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @together_across_call_of_scalars(%g: !T, %count: i32) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %lr = optim.call "schedule"(%count) : (i32) -> f32
  %b = optim.map over @all (%x = %a : !T, %y = %lr : f32) -> (!T) {
    %t = arith.mulf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// The sum can be taken in the pass that makes the operand of "f", though the schedule is called before.
// CHECK-LABEL: func.func @call_of_scalars_takes_no_level(
// CHECK-NEXT:    %lr = optim.call "schedule"(%count) : (i32) -> f32
// CHECK-NEXT:    %a, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %lr : f32) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %s_1 = arith.mulf %x, %y : f32
// CHECK-NEXT:      optim.yield %s, %s_1 : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %t = optim.call "f"(%a) : (!optim.tree<f32, @all>) -> !optim.tree<f32, @all>
// CHECK-NEXT:    %b = optim.map over @all (%x = %t : !optim.tree<f32, @all>, %y = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %y : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @call_of_scalars_takes_no_level(%g: !T, %count: i32) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %t = optim.call "f"(%a) : (!T) -> !T
  %lr = optim.call "schedule"(%count) : (i32) -> f32
  %n = optim.map over @all (%x = %g : !T, %y = %lr : f32) -> (f32 by <add>) {
    %s = arith.mulf %x, %y : f32
    optim.yield %s : f32
  }
  %b = optim.map over @all (%x = %t : !T, %y = %n : f32) -> (!T) {
    %s = arith.mulf %x, %y : f32
    optim.yield %s : f32
  }
  func.return %b : !T
}

// Refusal: a join of values that are not arguments is in memory.
// CHECK-LABEL: func.func @apart_across_join(
// CHECK-NEXT:    %a = optim.map over @b (%x = %h : !optim.tree<f32, @b>) -> (!optim.tree<f32, @b>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %w = optim.join %g, %a : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    %c, %d = optim.split %w : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %b = optim.map over @b (%x = %d : !optim.tree<f32, @b>) -> (!optim.tree<f32, @b>) {
// CHECK-NEXT:      %t = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %w, %b : !optim.tree<f32, @all>, !optim.tree<f32, @b>
// CHECK-NEXT:  }
func.func @apart_across_join(%g: !A, %h: !B) -> (!T, !B) {
  %a = optim.map over @b (%x = %h : !B) -> (!B) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %w = optim.join %g, %a : !A, !B -> !T
  %c, %d = optim.split %w : !T -> !A, !B
  %b = optim.map over @b (%x = %d : !B) -> (!B) {
    %t = math.sqrt %x : f32
    optim.yield %t : f32
  }
  func.return %w, %b : !T, !B
}

// Refusal: one map is over one leaf set. Maps over disjoint sets are put side by side for form-sweeps.
// CHECK-LABEL: func.func @apart_over_other_leaves(
// CHECK-NEXT:    %a = optim.map over @a (%x = %g : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %b = optim.map over @b (%x = %h : !optim.tree<f32, @b>) -> (!optim.tree<f32, @b>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %b : !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:  }
func.func @apart_over_other_leaves(%g: !A, %h: !B) -> (!A, !B) {
  %a = optim.map over @a (%x = %g : !A) -> (!A) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %b = optim.map over @b (%x = %h : !B) -> (!B) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  func.return %a, %b : !A, !B
}

// Refusal: work for every leaf is not done for every element.
// CHECK-LABEL: func.func @apart_from_per_leaf(
// CHECK-NEXT:    %r = optim.map over @all (%x = %s : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %t = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %r : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %t = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @apart_from_per_leaf(%g: !T, %s: !P) -> !T {
  %r = optim.map over @all (%x = %s : !P) -> (!P) {
    %t = math.sqrt %x : f32
    optim.yield %t : f32
  }
  %b = optim.map over @all (%x = %g : !T, %y = %r : !P) -> (!T) {
    %t = arith.divf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// CHECK-LABEL: func.func @per_leaf_with_per_leaf(
// CHECK-NEXT:    %b = optim.map over @all (%x = %s : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %t = math.sqrt %x : f32
// CHECK-NEXT:      %t_1 = arith.mulf %t, %t : f32
// CHECK-NEXT:      optim.yield %t_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @per_leaf_with_per_leaf(%s: !P) -> !P {
  %r = optim.map over @all (%x = %s : !P) -> (!P) {
    %t = math.sqrt %x : f32
    optim.yield %t : f32
  }
  %b = optim.map over @all (%x = %r : !P) -> (!P) {
    %t = arith.mulf %x, %x : f32
    optim.yield %t : f32
  }
  func.return %b : !P
}

// %a is only needed after the reduction, so it is computed there and not stored in between.
// CHECK-LABEL: func.func @computes_late(
// CHECK-NEXT:    %n = optim.map over @all (%x = %p : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = math.sqrt %x : f32
// CHECK-NEXT:      %t = arith.mulf %s, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @computes_late(%g: !T, %p: !T) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = math.sqrt %x : f32
    optim.yield %s : f32
  }
  %n = optim.map over @all (%x = %p : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %b = optim.map over @all (%x = %a : !T, %y = %n : f32) -> (!T) {
    %t = arith.mulf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// What both levels need is a result of the first.
// CHECK-LABEL: func.func @computes_once_what_both_need(
// CHECK-NEXT:    %a, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %s = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %s, %s : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %b = optim.map over @all (%x = %a : !optim.tree<f32, @all>, %y = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %t = arith.mulf %x, %y : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @computes_once_what_both_need(%g: !T) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = math.sqrt %x : f32
    optim.yield %s : f32
  }
  %n = optim.map over @all (%x = %a : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %b = optim.map over @all (%x = %a : !T, %y = %n : f32) -> (!T) {
    %t = arith.mulf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %b : !T
}

// A value that is only returned goes with the last level.
// CHECK-LABEL: func.func @stores_with_the_last_level(
// CHECK-NEXT:    %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %m, %b = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %mu : !optim.tree<f32, @all>, %y_1 = %n : f32) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.addf %x, %y : f32
// CHECK-NEXT:      %t = arith.mulf %x, %y_1 : f32
// CHECK-NEXT:      optim.yield %s, %t : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %m, %b : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @stores_with_the_last_level(%g: !T, %mu: !T) -> (!T, !T) {
  %m = optim.map over @all (%x = %g : !T, %y = %mu : !T) -> (!T) {
    %s = arith.addf %x, %y : f32
    optim.yield %s : f32
  }
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %b = optim.map over @all (%x = %g : !T, %y = %n : f32) -> (!T) {
    %t = arith.mulf %x, %y : f32
    optim.yield %t : f32
  }
  func.return %m, %b : !T, !T
}

!M = !optim.tree<f32, @matrices>
!R = !optim.tree<f32, @matrices, rows>
!C = !optim.tree<f32, @matrices, columns>
!L = !optim.tree<f32, @matrices, per_leaf>

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1], rows.heads = []}, "u" : [2, 5] {rows = [0], columns = [1], rows.heads = []}]

// Maps over one axis extent are fused: an extent is a pass of its own over less memory.
// CHECK-LABEL: func.func @fuses_over_rows(
// CHECK-NEXT:    %b = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>, %y = %n : !optim.tree<f32, @matrices, per_leaf>) -> (!optim.tree<f32, @matrices, rows>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %s_1 = arith.divf %s, %y : f32
// CHECK-NEXT:      optim.yield %s_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %b : !optim.tree<f32, @matrices, rows>
// CHECK-NEXT:  }
func.func @fuses_over_rows(%r: !R, %n: !L) -> !R {
  %a = optim.map over @matrices (%x = %r : !R) -> (!R) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %b = optim.map over @matrices (%x = %a : !R, %y = %n : !L) -> (!R) {
    %s = arith.divf %x, %y : f32
    optim.yield %s : f32
  }
  func.return %b : !R
}

// Refusal: rows, columns and elements are visited apart, though each is used by the next.
// CHECK-LABEL: func.func @keeps_extents_apart(
// CHECK-NEXT:    %a = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>) -> (!optim.tree<f32, @matrices, rows>) {
// CHECK-NEXT:      %s = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %b = optim.map over @matrices (%x = %c : !optim.tree<f32, @matrices, columns>) -> (!optim.tree<f32, @matrices, columns>) {
// CHECK-NEXT:      %s = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>, %y = %a : !optim.tree<f32, @matrices, rows>, %z = %b : !optim.tree<f32, @matrices, columns>) -> (!optim.tree<f32, @matrices>) {
// CHECK-NEXT:      %s = arith.mulf %y, %z : f32
// CHECK-NEXT:      %t = arith.mulf %x, %s : f32
// CHECK-NEXT:      optim.yield %t : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @matrices>
// CHECK-NEXT:  }
func.func @keeps_extents_apart(%r: !R, %c: !C, %g: !M) -> !M {
  %a = optim.map over @matrices (%x = %r : !R) -> (!R) {
    %s = math.sqrt %x : f32
    optim.yield %s : f32
  }
  %b = optim.map over @matrices (%x = %c : !C) -> (!C) {
    %s = math.sqrt %x : f32
    optim.yield %s : f32
  }
  %u = optim.map over @matrices (%x = %g : !M, %y = %a : !R, %z = %b : !C) -> (!M) {
    %s = arith.mulf %y, %z : f32
    %t = arith.mulf %x, %s : f32
    optim.yield %t : f32
  }
  func.return %u : !M
}

!V = !optim.tree<f32, @v_row>
optim.leaves @v_row = ["w" : [3], "u" : [2]]
optim.leaves @stats = ["" : [1]]

// A fold that is only reshaped or packed and returned asks for no second pass over the elements.
// CHECK-LABEL: func.func @reshape_and_pack_of_folds(
// CHECK-NEXT:    %new, %r, %n = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>, %y = %p : !optim.tree<f32, @matrices>) -> (!optim.tree<f32, @matrices>, !optim.tree<f32, @matrices, rows> by <add>, f32 by <add>) {
// CHECK-NEXT:      %z = arith.addf %x, %y : f32
// CHECK-NEXT:      optim.yield %z, %y, %y : f32, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %m = math.sqrt %n : f32
// CHECK-NEXT:    %v = optim.reshape %r : !optim.tree<f32, @matrices, rows> -> !optim.tree<f32, @v_row>
// CHECK-NEXT:    %s = optim.pack %m : f32 -> !optim.tree<f32, @stats>
// CHECK-NEXT:    func.return %new, %v, %s : !optim.tree<f32, @matrices>, !optim.tree<f32, @v_row>, !optim.tree<f32, @stats>
// CHECK-NEXT:  }
func.func @reshape_and_pack_of_folds(%g: !M, %p: !M {optim.slot = #optim.slot<params>}) -> (!M {optim.slot = #optim.slot<params>}, !V, !optim.tree<f32, @stats>) {
  %new = optim.map over @matrices (%x = %g : !M, %y = %p : !M) -> (!M) {
    %z = arith.addf %x, %y : f32
    optim.yield %z : f32
  }
  %r, %n = optim.map over @matrices (%x = %p : !M) -> (!R by <add>, f32 by <add>) {
    optim.yield %x, %x : f32, f32
  }
  %v = optim.reshape %r : !R -> !V
  %m = math.sqrt %n : f32
  %s = optim.pack %m : f32 -> !optim.tree<f32, @stats>
  func.return %new, %v, %s : !M, !V, !optim.tree<f32, @stats>
}

// Refusal: without the tree that the first map fills, the second would run once for every leaf.
// CHECK-LABEL: func.func @keeps_fold_of_a_fill(
// CHECK-NEXT:    %a = optim.map over @all (%x = %c : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %n = optim.map over @all (%x = %a : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n : f32
// CHECK-NEXT:  }
func.func @keeps_fold_of_a_fill(%c: f32) -> f32 {
  %a = optim.map over @all (%x = %c : f32) -> (!T) {
    optim.yield %x : f32
  }
  %n = optim.map over @all (%x = %a : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %n : f32
}
