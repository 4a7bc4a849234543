// RUN: optcc opt %s -p hoist-scalars | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK-LABEL: func.func @step_level(
// CHECK-NEXT:    %s = arith.mulf %lr, %c : f32
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %a = %lr : f32, %b = %c : f32, %s_1 = %s : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %y = arith.mulf %x, %s_1 : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @step_level(%g: !T, %lr: f32, %c: f32) -> !T {
  %u = optim.map over @all (%x = %g : !T, %a = %lr : f32, %b = %c : f32) -> (!T) {
    %s = arith.mulf %a, %b : f32
    %y = arith.mulf %x, %s : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}

// What depends on per-leaf values is computed once for every leaf, in a map in front.
// CHECK-LABEL: func.func @leaf_level(
// CHECK-NEXT:    %d = optim.map over @all (%a = %n : !optim.tree<f32, @all, per_leaf>, %e = %eps : f32) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %r = math.sqrt %a : f32
// CHECK-NEXT:      %d_1 = arith.addf %r, %e : f32
// CHECK-NEXT:      optim.yield %d_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %a = %n : !optim.tree<f32, @all, per_leaf>, %e = %eps : f32, %d_1 = %d : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %y = arith.divf %x, %d_1 : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @leaf_level(%g: !T, %n: !P, %eps: f32) -> !T {
  %u = optim.map over @all (%x = %g : !T, %a = %n : !P, %e = %eps : f32) -> (!T) {
    %r = math.sqrt %a : f32
    %d = arith.addf %r, %e : f32
    %y = arith.divf %x, %d : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}

// Each part goes to its level.
// CHECK-LABEL: func.func @both_levels(
// CHECK-NEXT:    %s = arith.mulf %lr, %c : f32
// CHECK-NEXT:    %r = optim.map over @all (%a = %n : !optim.tree<f32, @all, per_leaf>, %s_1 = %s : f32) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %r_1 = arith.mulf %a, %s_1 : f32
// CHECK-NEXT:      optim.yield %r_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %a = %n : !optim.tree<f32, @all, per_leaf>, %l = %lr : f32, %k = %c : f32, %s_1 = %s : f32, %r_1 = %r : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %y = arith.mulf %x, %r_1 : f32
// CHECK-NEXT:      %z = arith.addf %y, %s_1 : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @both_levels(%g: !T, %n: !P, %lr: f32, %c: f32) -> !T {
  %u = optim.map over @all (%x = %g : !T, %a = %n : !P, %l = %lr : f32, %k = %c : f32) -> (!T) {
    %s = arith.mulf %l, %k : f32
    %r = arith.mulf %a, %s : f32
    %y = arith.mulf %x, %r : f32
    %z = arith.addf %y, %s : f32
    optim.yield %z : f32
  }
  func.return %u : !T
}

// Of a chain of values only the last ones, which the body still uses, are passed in.
// CHECK-LABEL: func.func @passes_in_what_is_used(
// CHECK-NEXT:    %b = arith.mulf %a, %a : f32
// CHECK-NEXT:    %c = math.sqrt %b : f32
// CHECK-NEXT:    %d = math.exp %c : f32
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %s = %a : f32, %c_1 = %c : f32, %d_1 = %d : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %y = arith.mulf %x, %d_1 : f32
// CHECK-NEXT:      %z = arith.addf %y, %c_1 : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @passes_in_what_is_used(%g: !T, %a: f32) -> !T {
  %u = optim.map over @all (%x = %g : !T, %s = %a : f32) -> (!T) {
    %b = arith.mulf %s, %s : f32
    %c = math.sqrt %b : f32
    %d = math.exp %c : f32
    %y = arith.mulf %x, %d : f32
    %z = arith.addf %y, %c : f32
    optim.yield %z : f32
  }
  func.return %u : !T
}

// CHECK-LABEL: func.func @out_of_a_per_leaf_map(
// CHECK-NEXT:    %b = math.sqrt %a : f32
// CHECK-NEXT:    %u = optim.map over @all (%x = %n : !optim.tree<f32, @all, per_leaf>, %s = %a : f32, %b_1 = %b : f32) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %r = math.sqrt %x : f32
// CHECK-NEXT:      %y = arith.mulf %r, %b_1 : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @out_of_a_per_leaf_map(%n: !P, %a: f32) -> !P {
  %u = optim.map over @all (%x = %n : !P, %s = %a : f32) -> (!P) {
    %b = math.sqrt %s : f32
    %r = math.sqrt %x : f32
    %y = arith.mulf %r, %b : f32
    optim.yield %y : f32
  }
  func.return %u : !P
}

// CHECK-LABEL: func.func @takes_constants_along(
// CHECK-NEXT:    %one = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:    %b = arith.subf %one, %a : f32
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %s = %a : f32, %b_1 = %b : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %one_1 = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %y = arith.mulf %x, %b_1 : f32
// CHECK-NEXT:      %z = arith.addf %y, %one_1 : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @takes_constants_along(%g: !T, %a: f32) -> !T {
  %u = optim.map over @all (%x = %g : !T, %s = %a : f32) -> (!T) {
    %one = arith.constant 1.0 : f32
    %b = arith.subf %one, %s : f32
    %y = arith.mulf %x, %b : f32
    %z = arith.addf %y, %one : f32
    optim.yield %z : f32
  }
  func.return %u : !T
}

// CHECK-LABEL: func.func @yields_what_was_hoisted(
// CHECK-NEXT:    %b = arith.mulf %a, %a : f32
// CHECK-NEXT:    %u, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %s = %a : f32, %b_1 = %b : f32) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      optim.yield %b_1, %b_1 : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %n : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @yields_what_was_hoisted(%g: !T, %a: f32) -> (!T, f32) {
  %u, %n = optim.map over @all (%x = %g : !T, %s = %a : f32) -> (!T, f32 by <add>) {
    %b = arith.mulf %s, %s : f32
    optim.yield %b, %b : f32, f32
  }
  func.return %u, %n : !T, f32
}

// Refusal: constants alone stay in the body, and arithmetic on them.
// CHECK-LABEL: func.func @keeps_constants(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %two = arith.constant 2.000000e+00 : f32
// CHECK-NEXT:      %r = math.sqrt %two : f32
// CHECK-NEXT:      %y = arith.mulf %x, %r : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_constants(%g: !T) -> !T {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %two = arith.constant 2.0 : f32
    %r = math.sqrt %two : f32
    %y = arith.mulf %x, %r : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}

// Refusal: this arithmetic involves an element.
// CHECK-LABEL: func.func @keeps_what_depends_on_elements(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %s = %a : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %y = arith.mulf %x, %s : f32
// CHECK-NEXT:      %z = arith.addf %y, %s : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_what_depends_on_elements(%g: !T, %a: f32) -> !T {
  %u = optim.map over @all (%x = %g : !T, %s = %a : f32) -> (!T) {
    %y = arith.mulf %x, %s : f32
    %z = arith.addf %y, %s : f32
    optim.yield %z : f32
  }
  func.return %u : !T
}

!M = !optim.tree<f32, @matrices>
!R = !optim.tree<f32, @matrices, rows>
!C = !optim.tree<f32, @matrices, columns>
!L = !optim.tree<f32, @matrices, per_leaf>

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1], rows.heads = []}, "u" : [2, 5] {rows = [0], columns = [1], rows.heads = []}]

// A map over rows gives its step-level and its leaf-level arithmetic away, too.
// CHECK-LABEL: func.func @out_of_a_map_over_rows(
// CHECK-NEXT:    %b = math.sqrt %a : f32
// CHECK-NEXT:    %c = optim.map over @matrices (%l = %n : !optim.tree<f32, @matrices, per_leaf>, %b_1 = %b : f32) -> (!optim.tree<f32, @matrices, per_leaf>) {
// CHECK-NEXT:      %c_1 = arith.mulf %l, %b_1 : f32
// CHECK-NEXT:      optim.yield %c_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>, %l = %n : !optim.tree<f32, @matrices, per_leaf>, %s = %a : f32, %b_1 = %b : f32, %c_1 = %c : !optim.tree<f32, @matrices, per_leaf>) -> (!optim.tree<f32, @matrices, rows>) {
// CHECK-NEXT:      %y = arith.mulf %x, %c_1 : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @matrices, rows>
// CHECK-NEXT:  }
func.func @out_of_a_map_over_rows(%r: !R, %n: !L, %a: f32) -> !R {
  %u = optim.map over @matrices (%x = %r : !R, %l = %n : !L, %s = %a : f32) -> (!R) {
    %b = math.sqrt %s : f32
    %c = arith.mulf %l, %b : f32
    %y = arith.mulf %x, %c : f32
    optim.yield %y : f32
  }
  func.return %u : !R
}

// Refusal: a value of rows is not the same for every element of a leaf.
// CHECK-LABEL: func.func @keeps_arithmetic_on_rows(
// CHECK-NEXT:    %u = optim.map over @matrices (%x = %g : !optim.tree<f32, @matrices>, %y = %r : !optim.tree<f32, @matrices, rows>, %l = %n : !optim.tree<f32, @matrices, per_leaf>) -> (!optim.tree<f32, @matrices>) {
// CHECK-NEXT:      %b = arith.divf %y, %l : f32
// CHECK-NEXT:      %z = arith.mulf %x, %b : f32
// CHECK-NEXT:      optim.yield %z : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @matrices>
// CHECK-NEXT:  }
func.func @keeps_arithmetic_on_rows(%g: !M, %r: !R, %n: !L) -> !M {
  %u = optim.map over @matrices (%x = %g : !M, %y = %r : !R, %l = %n : !L) -> (!M) {
    %b = arith.divf %y, %l : f32
    %z = arith.mulf %x, %b : f32
    optim.yield %z : f32
  }
  func.return %u : !M
}
