// RUN: optcc opt %s -p split-leaves --split-input-file | filecheck %s

!T = !optim.tree<f32, @all>
!D = !optim.tree<f32, @on>
!R = !optim.tree<f32, @off>
optim.leaves @all = ["w" : [3, 4], "b" : [4], "v" : [5]]
optim.leaves @on = ["w" : [3, 4], "v" : [5]]
optim.leaves @off = ["b" : [4]]

// Splits end up at the arguments, joins at the returns.
// CHECK-LABEL: func.func @map_before_a_split(
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %a = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %g_2 : !optim.tree<f32, @off>) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:  }
func.func @map_before_a_split(%g: !T) -> (!D, !R) {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %d, %r = optim.split %a : !T -> !D, !R
  func.return %d, %r : !D, !R
}

// CHECK-LABEL: func.func @map_behind_a_join(
// CHECK-NEXT:    %a = optim.map over @on (%x = %d : !optim.tree<f32, @on>, %s = %c : f32) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %y = arith.mulf %x, %s : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %r : !optim.tree<f32, @off>, %s = %c : f32) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %y = arith.mulf %x, %s : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_2 = optim.join %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %a_2 : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @map_behind_a_join(%d: !D, %r: !R, %c: f32) -> !T {
  %w = optim.join %d, %r : !D, !R -> !T
  %a = optim.map over @all (%x = %w : !T, %s = %c : f32) -> (!T) {
    %y = arith.mulf %x, %s : f32
    optim.yield %y : f32
  }
  func.return %a : !T
}

// Weight decay on some leaves only.
// CHECK-LABEL: func.func @masked(
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %p_1, %p_2 = optim.split %p : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %u = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>, %y = %p_1 : !optim.tree<f32, @on>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %z = arith.addf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %w = optim.join %u, %g_2 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %w : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @masked(%g: !T, %p: !T) -> !T {
  %gd, %gr = optim.split %g : !T -> !D, !R
  %pd, %pr = optim.split %p : !T -> !D, !R
  %u = optim.map over @on (%x = %gd : !D, %y = %pd : !D) -> (!D) {
    %z = arith.addf %x, %y : f32
    optim.yield %z : f32
  }
  %w = optim.join %u, %gr : !D, !R -> !T
  func.return %w : !T
}

// A sum over the set is the sum of the sums over its parts; a fold of each leaf stays with its leaf.
// CHECK-LABEL: func.func @reductions(
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %n = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %n_1 = optim.map over @off (%x = %g_2 : !optim.tree<f32, @off>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %0 = arith.addf %n, %n_1 : f32
// CHECK-NEXT:    %m = optim.reduce <max> %g_1 : !optim.tree<f32, @on> -> f32
// CHECK-NEXT:    %m_1 = optim.reduce <max> %g_2 : !optim.tree<f32, @off> -> f32
// CHECK-NEXT:    %1 = arith.maximumf %m, %m_1 : f32
// CHECK-NEXT:    %l = optim.reduce <min> %g_1 : !optim.tree<f32, @on> -> f32
// CHECK-NEXT:    %l_1 = optim.reduce <min> %g_2 : !optim.tree<f32, @off> -> f32
// CHECK-NEXT:    %2 = arith.minimumf %l, %l_1 : f32
// CHECK-NEXT:    %p = optim.reduce <add> %g_1 : !optim.tree<f32, @on> -> !optim.tree<f32, @on, per_leaf>
// CHECK-NEXT:    %p_1 = optim.reduce <add> %g_2 : !optim.tree<f32, @off> -> !optim.tree<f32, @off, per_leaf>
// CHECK-NEXT:    %p_2 = optim.join %p, %p_1 : !optim.tree<f32, @on, per_leaf>, !optim.tree<f32, @off, per_leaf> -> !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:    func.return %0, %1, %2, %p_2 : f32, f32, f32, !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @reductions(%g: !T) -> (f32, f32, f32, !optim.tree<f32, @all, per_leaf>) {
  %d, %r = optim.split %g : !T -> !D, !R
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %m = optim.reduce <max> %g : !T -> f32
  %l = optim.reduce <min> %g : !T -> f32
  %p = optim.reduce <add> %g : !T -> !optim.tree<f32, @all, per_leaf>
  func.return %n, %m, %l, %p : f32, f32, f32, !optim.tree<f32, @all, per_leaf>
}

// What depends on the combined sum uses it.
// CHECK-LABEL: func.func @uses_of_a_reduction(
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %n = optim.reduce <add> %g_1 : !optim.tree<f32, @on> -> f32
// CHECK-NEXT:    %n_1 = optim.reduce <add> %g_2 : !optim.tree<f32, @off> -> f32
// CHECK-NEXT:    %0 = arith.addf %n, %n_1 : f32
// CHECK-NEXT:    %q = math.sqrt %0 : f32
// CHECK-NEXT:    %a = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>, %s = %q : f32) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %y = arith.divf %x, %s : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %g_2 : !optim.tree<f32, @off>, %s = %q : f32) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %y = arith.divf %x, %s : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:  }
func.func @uses_of_a_reduction(%g: !T) -> (!D, !R) {
  %n = optim.reduce <add> %g : !T -> f32
  %q = math.sqrt %n : f32
  %a = optim.map over @all (%x = %g : !T, %s = %q : f32) -> (!T) {
    %y = arith.divf %x, %s : f32
    optim.yield %y : f32
  }
  %d, %r = optim.split %a : !T -> !D, !R
  func.return %d, %r : !D, !R
}

// CHECK-LABEL: func.func @per_leaf_values(
// CHECK-NEXT:    %s_1, %s_2 = optim.split %s : !optim.tree<f32, @all, per_leaf> -> !optim.tree<f32, @on, per_leaf>, !optim.tree<f32, @off, per_leaf>
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %a = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>, %y = %s_1 : !optim.tree<f32, @on, per_leaf>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %z = arith.mulf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %g_2 : !optim.tree<f32, @off>, %y = %s_2 : !optim.tree<f32, @off, per_leaf>) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %z = arith.mulf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_2 = optim.join %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %a_2, %g_1 : !optim.tree<f32, @all>, !optim.tree<f32, @on>
// CHECK-NEXT:  }
func.func @per_leaf_values(%s: !optim.tree<f32, @all, per_leaf>, %g: !T) -> (!T, !D) {
  %d, %r = optim.split %g : !T -> !D, !R
  %a = optim.map over @all (%x = %g : !T, %y = %s : !optim.tree<f32, @all, per_leaf>) -> (!T) {
    %z = arith.mulf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %a, %d : !T, !D
}

// A callee takes and gives whole trees.
// CHECK-LABEL: func.func @calls(
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %u = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %w = optim.join %u, %g_2 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    %c, %s = optim.call "f"(%w) : (!optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32)
// CHECK-NEXT:    %c_1, %c_2 = optim.split %c : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %a = optim.map over @on (%x = %c_1 : !optim.tree<f32, @on>, %k = %s : f32) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %y = arith.mulf %x, %k : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %c_2 : !optim.tree<f32, @off>, %k = %s : f32) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %y = arith.mulf %x, %k : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_2 = optim.join %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %a_2, %s : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @calls(%g: !T) -> (!T, f32) {
  %d, %r = optim.split %g : !T -> !D, !R
  %u = optim.map over @on (%x = %d : !D) -> (!D) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %w = optim.join %u, %r : !D, !R -> !T
  %c, %s = optim.call "f"(%w) : (!T) -> (!T, f32)
  %a = optim.map over @all (%x = %c : !T, %k = %s : f32) -> (!T) {
    %y = arith.mulf %x, %k : f32
    optim.yield %y : f32
  }
  func.return %a, %s : !T, f32
}

// Refusal: a function that neither splits nor joins is left alone.
// CHECK-LABEL: func.func @nothing_to_split(
// CHECK-NEXT:    %a, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      optim.yield %x, %x : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %n : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @nothing_to_split(%g: !T) -> (!T, f32) {
  %a, %n = optim.map over @all (%x = %g : !T) -> (!T, f32 by <add>) {
    optim.yield %x, %x : f32, f32
  }
  func.return %a, %n : !T, f32
}

// -----

!T = !optim.tree<f32, @all>
!D = !optim.tree<f32, @outer>
!E = !optim.tree<f32, @inner>
optim.leaves @all = ["a" : [1], "b" : [2], "c" : [3]]
optim.leaves @outer = ["a" : [1], "b" : [2]]
optim.leaves @outer_rest = ["c" : [3]]
optim.leaves @inner = ["a" : [1]]
optim.leaves @inner_rest = ["b" : [2]]

// The split of a part: three parts, no @outer.
// CHECK-LABEL: func.func @nested(
// CHECK-NEXT:    %g_1, %g_2, %g_3 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @inner>, !optim.tree<f32, @inner_rest>, !optim.tree<f32, @outer_rest>
// CHECK-NEXT:    %i1 = optim.map over @inner (%x = %g_1 : !optim.tree<f32, @inner>) -> (!optim.tree<f32, @inner>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %o2 = optim.map over @inner (%x = %i1 : !optim.tree<f32, @inner>) -> (!optim.tree<f32, @inner>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %o2_1 = optim.map over @inner_rest (%x = %g_2 : !optim.tree<f32, @inner_rest>) -> (!optim.tree<f32, @inner_rest>) {
// CHECK-NEXT:      %y = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %w = optim.join %o2, %o2_1, %g_3 : !optim.tree<f32, @inner>, !optim.tree<f32, @inner_rest>, !optim.tree<f32, @outer_rest> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %w : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @nested(%g: !T) -> !T {
  %o, %r = optim.split %g : !T -> !D, !optim.tree<f32, @outer_rest>
  %i, %s = optim.split %o : !D -> !E, !optim.tree<f32, @inner_rest>
  %i1 = optim.map over @inner (%x = %i : !E) -> (!E) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %o1 = optim.join %i1, %s : !E, !optim.tree<f32, @inner_rest> -> !D
  %o2 = optim.map over @outer (%x = %o1 : !D) -> (!D) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %w = optim.join %o2, %r : !D, !optim.tree<f32, @outer_rest> -> !T
  func.return %w : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["a" : [1], "b" : [2], "c" : [3], "d" : [4]]
optim.leaves @ab = ["a" : [1], "b" : [2]]
optim.leaves @cd = ["c" : [3], "d" : [4]]
optim.leaves @ac = ["a" : [1], "c" : [3]]
optim.leaves @bd = ["b" : [2], "d" : [4]]

// Two partitions that cross: the four parts that refine both get leaf sets of their own.
// CHECK:      optim.leaves @part0 = ["a" : [1]]
// CHECK-NEXT: optim.leaves @part1 = ["b" : [2]]
// CHECK-NEXT: optim.leaves @part2 = ["c" : [3]]
// CHECK-NEXT: optim.leaves @part3 = ["d" : [4]]
// CHECK-LABEL: func.func @crossing(
// CHECK-NEXT:    %g_1, %g_2, %g_3, %g_4 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @part0>, !optim.tree<f32, @part1>, !optim.tree<f32, @part2>, !optim.tree<f32, @part3>
// CHECK-NEXT:    %0 = optim.map over @part0 (%x = %g_1 : !optim.tree<f32, @part0>) -> (!optim.tree<f32, @part0>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %1 = optim.map over @part1 (%x = %g_2 : !optim.tree<f32, @part1>) -> (!optim.tree<f32, @part1>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %2 = optim.map over @part1 (%x = %1 : !optim.tree<f32, @part1>) -> (!optim.tree<f32, @part1>) {
// CHECK-NEXT:      %y = math.exp %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %3 = optim.map over @part3 (%x = %g_4 : !optim.tree<f32, @part3>) -> (!optim.tree<f32, @part3>) {
// CHECK-NEXT:      %y = math.exp %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %4 = optim.join %0, %2, %g_3, %3 : !optim.tree<f32, @part0>, !optim.tree<f32, @part1>, !optim.tree<f32, @part2>, !optim.tree<f32, @part3> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %4 : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @crossing(%g: !T) -> !T {
  %0, %1 = optim.split %g : !T -> !optim.tree<f32, @ab>, !optim.tree<f32, @cd>
  %2 = optim.map over @ab (%x = %0 : !optim.tree<f32, @ab>) -> (!optim.tree<f32, @ab>) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %3 = optim.join %2, %1 : !optim.tree<f32, @ab>, !optim.tree<f32, @cd> -> !T
  %4, %5 = optim.split %3 : !T -> !optim.tree<f32, @ac>, !optim.tree<f32, @bd>
  %6 = optim.map over @bd (%x = %5 : !optim.tree<f32, @bd>) -> (!optim.tree<f32, @bd>) {
    %y = math.exp %x : f32
    optim.yield %y : f32
  }
  %7 = optim.join %4, %6 : !optim.tree<f32, @ac>, !optim.tree<f32, @bd> -> !T
  func.return %7 : !T
}

// -----

!T = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!D = !optim.tree<f32, @on>
!E = !optim.tree<f32, @off>
!K = !optim.key<"threefry2x32">
optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "b" : [4] {rows = []}]
optim.leaves @on = ["w" : [3, 4] {rows = [0]}]
optim.leaves @off = ["b" : [4] {rows = []}]
optim.leaves @v_row = ["w" : [3], "b" : []]
optim.leaves @scales = ["0" : [2]]

// Axis extents go along: each part is folded by itself.
// CHECK-LABEL: func.func @axis_extents(
// CHECK-NEXT:    %g_1, %g_2 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    %r = optim.reduce <add> %g_1 : !optim.tree<f32, @on> -> !optim.tree<f32, @on, rows>
// CHECK-NEXT:    %r_1 = optim.reduce <add> %g_2 : !optim.tree<f32, @off> -> !optim.tree<f32, @off, rows>
// CHECK-NEXT:    %a = optim.map over @on (%x = %g_1 : !optim.tree<f32, @on>, %y = %r : !optim.tree<f32, @on, rows>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %g_2 : !optim.tree<f32, @off>, %y = %r_1 : !optim.tree<f32, @off, rows>) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:  }
func.func @axis_extents(%g: !T) -> (!D, !E) {
  %r = optim.reduce <add> %g : !T -> !R
  %a = optim.map over @all (%x = %g : !T, %y = %r : !R) -> (!T) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  %d, %e = optim.split %a : !T -> !D, !E
  func.return %d, %e : !D, !E
}

// CHECK-LABEL: func.func @counts(
// CHECK-NEXT:    %n = optim.count per rows : !optim.tree<f32, @on, per_leaf>
// CHECK-NEXT:    %n_1 = optim.count per rows : !optim.tree<f32, @off, per_leaf>
// CHECK-NEXT:    %a = optim.map over @on (%x = %d : !optim.tree<f32, @on>, %y = %n : !optim.tree<f32, @on, per_leaf>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %e : !optim.tree<f32, @off>, %y = %n_1 : !optim.tree<f32, @off, per_leaf>) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_2 = optim.join %a, %a_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %a_2 : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @counts(%d: !D, %e: !E) -> !T {
  %n = optim.count per rows : !optim.tree<f32, @all, per_leaf>
  %g = optim.join %d, %e : !D, !E -> !T
  %a = optim.map over @all (%x = %g : !T, %y = %n : !optim.tree<f32, @all, per_leaf>) -> (!T) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %a : !T
}

// What is reshaped or drawn is whole before and after.
// CHECK-LABEL: func.func @reshapes(
// CHECK-NEXT:    %r = optim.reduce <add> %d : !optim.tree<f32, @on> -> !optim.tree<f32, @on, rows>
// CHECK-NEXT:    %r_1 = optim.reduce <add> %e : !optim.tree<f32, @off> -> !optim.tree<f32, @off, rows>
// CHECK-NEXT:    %r_2 = optim.join %r, %r_1 : !optim.tree<f32, @on, rows>, !optim.tree<f32, @off, rows> -> !optim.tree<f32, @all, rows>
// CHECK-NEXT:    %v = optim.reshape %r_2 : !optim.tree<f32, @all, rows> -> !optim.tree<f32, @v_row>
// CHECK-NEXT:    %s = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @all, rows>
// CHECK-NEXT:    %s_1, %s_2 = optim.split %s : !optim.tree<f32, @all, rows> -> !optim.tree<f32, @on, rows>, !optim.tree<f32, @off, rows>
// CHECK-NEXT:    %a = optim.map over @on (%x = %d : !optim.tree<f32, @on>, %y = %s_1 : !optim.tree<f32, @on, rows>) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %a_1 = optim.map over @off (%x = %e : !optim.tree<f32, @off>, %y = %s_2 : !optim.tree<f32, @off, rows>) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a, %v : !optim.tree<f32, @on>, !optim.tree<f32, @v_row>
// CHECK-NEXT:  }
func.func @reshapes(%d: !D, %e: !E) -> (!D, !optim.tree<f32, @v_row>) {
  %g = optim.join %d, %e : !D, !E -> !T
  %r = optim.reduce <add> %g : !T -> !R
  %v = optim.reshape %r : !R -> !optim.tree<f32, @v_row>
  %s = optim.reshape %v : !optim.tree<f32, @v_row> -> !R
  %a = optim.map over @all (%x = %g : !T, %y = %s : !R) -> (!T) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  %d1, %e1 = optim.split %a : !T -> !D, !E
  func.return %d1, %v : !D, !optim.tree<f32, @v_row>
}

// CHECK-LABEL: func.func @random_numbers(
// CHECK-NEXT:    %k = optim.split_key %key [0] of 2 : !optim.key<"threefry2x32">
// CHECK-NEXT:    %z = optim.random <normal> %k [0, 1] of 2 : !optim.key<"threefry2x32"> -> !optim.tree<f32, @all>
// CHECK-NEXT:    %z_1, %z_2 = optim.split %z : !optim.tree<f32, @all> -> !optim.tree<f32, @on>, !optim.tree<f32, @off>
// CHECK-NEXT:    func.return %z_1, %k : !optim.tree<f32, @on>, !optim.key<"threefry2x32">
// CHECK-NEXT:  }
func.func @random_numbers(%key: !K) -> (!D, !K) {
  %k = optim.split_key %key [0] of 2 : !K
  %z = optim.random <normal> %k [0, 1] of 2 : !K -> !T
  %d, %e = optim.split %z : !T -> !D, !E
  func.return %d, %k : !D, !K
}

// Scalars that come from parts are packed.
// CHECK-LABEL: func.func @packs(
// CHECK-NEXT:    %n = optim.reduce <add> %d : !optim.tree<f32, @on> -> f32
// CHECK-NEXT:    %n_1 = optim.reduce <add> %e : !optim.tree<f32, @off> -> f32
// CHECK-NEXT:    %0 = arith.addf %n, %n_1 : f32
// CHECK-NEXT:    %s = optim.pack %0, %0 : f32, f32 -> !optim.tree<f32, @scales>
// CHECK-NEXT:    %a, %b = optim.unpack %s : !optim.tree<f32, @scales> -> f32, f32
// CHECK-NEXT:    %u = optim.map over @on (%x = %d : !optim.tree<f32, @on>, %y = %a : f32) -> (!optim.tree<f32, @on>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u_1 = optim.map over @off (%x = %e : !optim.tree<f32, @off>, %y = %a : f32) -> (!optim.tree<f32, @off>) {
// CHECK-NEXT:      %z = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u_2 = optim.join %u, %u_1 : !optim.tree<f32, @on>, !optim.tree<f32, @off> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %u_2, %s : !optim.tree<f32, @all>, !optim.tree<f32, @scales>
// CHECK-NEXT:  }
func.func @packs(%d: !D, %e: !E) -> (!T, !optim.tree<f32, @scales>) {
  %g = optim.join %d, %e : !D, !E -> !T
  %n = optim.reduce <add> %g : !T -> f32
  %s = optim.pack %n, %n : f32, f32 -> !optim.tree<f32, @scales>
  %a, %b = optim.unpack %s : !optim.tree<f32, @scales> -> f32, f32
  %u = optim.map over @all (%x = %g : !T, %y = %a : f32) -> (!T) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %u, %s : !T, !optim.tree<f32, @scales>
}
