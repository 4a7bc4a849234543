// RUN: optcc opt %s -p schedule-levels,form-sweeps | filecheck %s

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
!P = !optim.tree<f32, @all, per_leaf>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @overwrites_the_slot_of_the_result(
// CHECK-NEXT:    %new, %mu1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs(%p_1 = %p : !optim.tree<f32, @all>, %mu_1 = %mu : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1, %mu1_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>, %y = %p_1 : !optim.tree<f32, @all>, %m = %mu_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        %a = arith.addf %m, %x : f32
// CHECK-NEXT:        %b = arith.addf %y, %a : f32
// CHECK-NEXT:        optim.yield %b, %a : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1, %mu1_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new, %mu1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @overwrites_the_slot_of_the_result(%g: !T {optim.slot = #optim.slot<updates>}, %p: !T {optim.slot = #optim.slot<params>}, %mu: !T {optim.slot = #optim.slot<state ["0", "mu"]>})
    -> (!T {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["0", "mu"]>}) {
  %new, %mu1 = optim.map over @all (%x = %g : !T, %y = %p : !T, %m = %mu : !T) -> (!T, !T) {
    %a = arith.addf %m, %x : f32
    %b = arith.addf %y, %a : f32
    optim.yield %b, %a : f32, f32
  }
  func.return %new, %mu1 : !T, !T
}

// One sweep for maps over disjoint sets: the parts of a slot are overwritten each on its own.
// CHECK-LABEL: func.func @one_sweep_over_the_parts(
// CHECK-NEXT:    %a, %b = optim.split %p : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %a1, %b1, %n = optim.sweep ins() outs(%a_1 = %a : !optim.tree<f32, @a>, %b_1 = %b : !optim.tree<f32, @b>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @b>, f32) {
// CHECK-NEXT:      %a1_1 = optim.map over @a (%x = %a_1 : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %b1_1, %n_1 = optim.map over @b (%x = %b_1 : !optim.tree<f32, @b>) -> (!optim.tree<f32, @b>, f32 by <add>) {
// CHECK-NEXT:        %y = arith.addf %x, %x : f32
// CHECK-NEXT:        optim.yield %y, %x : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %a1_1, %b1_1, %n_1 : !optim.tree<f32, @a>, !optim.tree<f32, @b>, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %p1 = optim.join %a1, %b1 : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %p1, %n : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @one_sweep_over_the_parts(%p: !T {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<params>}, f32) {
  %a, %b = optim.split %p : !T -> !A, !B
  %a1 = optim.map over @a (%x = %a : !A) -> (!A) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %b1, %n = optim.map over @b (%x = %b : !B) -> (!B, f32 by <add>) {
    %y = arith.addf %x, %x : f32
    optim.yield %y, %x : f32, f32
  }
  %p1 = optim.join %a1, %b1 : !A, !B -> !T
  func.return %p1, %n : !T, f32
}

// A sweep for each level; step and leaf arithmetic stays between them.
// CHECK-LABEL: func.func @a_sweep_for_each_level(
// CHECK-NEXT:    %n = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %n_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK-NEXT:        optim.yield %x : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %n_1 : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:    }
// CHECK-NEXT:    %r = optim.map over @all (%x = %n : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.sweep ins(%r_1 = %r : !optim.tree<f32, @all, per_leaf>) outs(%p_1 = %p : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1 = optim.map over @all (%x = %p_1 : !optim.tree<f32, @all>, %y = %r_1 : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %z = arith.divf %x, %y : f32
// CHECK-NEXT:        optim.yield %z : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @a_sweep_for_each_level(%g: !T, %p: !T {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<params>}) {
  %n = optim.map over @all (%x = %g : !T) -> (!P by <add>) {
    optim.yield %x : f32
  }
  %r = optim.map over @all (%x = %n : !P) -> (!P) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %new = optim.map over @all (%x = %p : !T, %y = %r : !P) -> (!T) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %new : !T
}

// Reading the old value in an earlier sweep is no obstacle.
// CHECK-LABEL: func.func @read_earlier(
// CHECK-NEXT:    %n = optim.sweep ins(%p_1 = %p : !optim.tree<f32, @all>) outs() -> (f32) {
// CHECK-NEXT:      %n_1 = optim.map over @all (%x = %p_1 : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:        optim.yield %x : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %n_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.sweep ins(%n_1 = %n : f32) outs(%p_1 = %p : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1 = optim.map over @all (%x = %p_1 : !optim.tree<f32, @all>, %y = %n_1 : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %z = arith.divf %x, %y : f32
// CHECK-NEXT:        optim.yield %z : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @read_earlier(%p: !T {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<params>}) {
  %n = optim.map over @all (%x = %p : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %new = optim.map over @all (%x = %p : !T, %y = %n : f32) -> (!T) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %new : !T
}

// Refusal: a later sweep still reads the old value.
// CHECK-LABEL: func.func @read_later_by_a_map(
// CHECK-NEXT:    %mu1, %n = optim.sweep ins(%mu_1 = %mu : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all>, f32) {
// CHECK-NEXT:      %mu1_1, %n_1 = optim.map over @all (%x = %mu_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %y, %x : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %mu1_1, %n_1 : !optim.tree<f32, @all>, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u = optim.sweep ins(%mu_1 = %mu : !optim.tree<f32, @all>, %n_1 = %n : f32) outs() -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %u_1 = optim.map over @all (%x = %mu_1 : !optim.tree<f32, @all>, %s = %n_1 : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %y = arith.divf %x, %s : f32
// CHECK-NEXT:        optim.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %u_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1, %u : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @read_later_by_a_map(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %mu1, %n = optim.map over @all (%x = %mu : !T) -> (!T, f32 by <add>) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y, %x : f32, f32
  }
  %u = optim.map over @all (%x = %mu : !T, %s = %n : f32) -> (!T) {
    %y = arith.divf %x, %s : f32
    optim.yield %y : f32
  }
  func.return %mu1, %u : !T, !T
}

// Refusal: a later call still reads the old value.
// CHECK-LABEL: func.func @read_later_by_a_call(
// CHECK-NEXT:    %mu1 = optim.sweep ins(%mu_1 = %mu : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %mu1_1 = optim.map over @all (%x = %mu_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %mu1_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    %s = optim.call "f"(%mu) : (!optim.tree<f32, @all>) -> f32
// CHECK-NEXT:    func.return %mu1, %s : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @read_later_by_a_call(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, f32) {
  %mu1 = optim.map over @all (%x = %mu : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %s = optim.call "f"(%mu) : (!T) -> f32
  func.return %mu1, %s : !T, f32
}

// Refusal: the caller gets the old value.
// CHECK-LABEL: func.func @returned(
// CHECK-NEXT:    %mu1 = optim.sweep ins(%mu_1 = %mu : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %mu1_1 = optim.map over @all (%x = %mu_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %mu1_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1, %mu : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @returned(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %mu1 = optim.map over @all (%x = %mu : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  func.return %mu1, %mu : !T, !T
}

// Refusal: the argument has another type.
// CHECK-LABEL: func.func @another_type(
// CHECK-NEXT:    %mu1 = optim.sweep ins(%mu_1 = %mu : !optim.tree<f32, @all>) outs() -> (!optim.tree<bf16, @all>) {
// CHECK-NEXT:      %mu1_1 = optim.map over @all (%x = %mu_1 : !optim.tree<f32, @all>) -> (!optim.tree<bf16, @all>) {
// CHECK-NEXT:        %y = arith.truncf %x : f32 to bf16
// CHECK-NEXT:        optim.yield %y : bf16
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %mu1_1 : !optim.tree<bf16, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1 : !optim.tree<bf16, @all>
// CHECK-NEXT:  }
func.func @another_type(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!H {optim.slot = #optim.slot<state ["mu"]>}) {
  %mu1 = optim.map over @all (%x = %mu : !T) -> (!H) {
    %y = arith.truncf %x : f32 to bf16
    optim.yield %y : bf16
  }
  func.return %mu1 : !H
}

// Refusal: no argument has the slot, the result has none, or the result is not returned.
// CHECK-LABEL: func.func @no_slot(
// CHECK-NEXT:    %u, %v, %w = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %u_1, %v_1, %w_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %x, %y, %x : f32, f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %u_1, %v_1, %w_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %v : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @no_slot(%g: !T, %s: f32 {optim.slot = #optim.slot<state ["s"]>}) -> (!T {optim.slot = #optim.slot<updates>}, !T) {
  %u, %v, %w = optim.map over @all (%x = %g : !T) -> (!T, !T, !T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %x, %y, %x : f32, f32, f32
  }
  func.return %u, %v : !T, !T
}

// Refusal: a fold is not written element by element, even if its slot is there.
// CHECK-LABEL: func.func @combined_result(
// CHECK-NEXT:    %n1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>, %n_1 = %n : !optim.tree<f32, @all, per_leaf>) outs() -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %n1_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>, %y = %n_1 : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK-NEXT:        %z = arith.mulf %x, %y : f32
// CHECK-NEXT:        optim.yield %z : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %n1_1 : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %n1 : !optim.tree<f32, @all, per_leaf>
// CHECK-NEXT:  }
func.func @combined_result(%g: !T, %n: !P {optim.slot = #optim.slot<state ["norm"]>}) -> (!P {optim.slot = #optim.slot<state ["norm"]>}) {
  %n1 = optim.map over @all (%x = %g : !T, %y = %n : !P) -> (!P by <add>) {
    %z = arith.mulf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %n1 : !P
}

// Maps that were not fused, over one set and of one level, are separate sweeps.
// CHECK-LABEL: func.func @maps_that_were_not_fused(
// CHECK-NEXT:    %u = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %u_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %u_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    %v = optim.sweep ins(%u_1 = %u : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %v_1 = optim.map over @all (%x = %u_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %y = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %y : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %v_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %v : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @maps_that_were_not_fused(%g: !T) -> (!T, !T) {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  %v = optim.map over @all (%x = %u : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  func.return %u, %v : !T, !T
}

!M = !optim.tree<f32, @matrices>
!R = !optim.tree<f32, @matrices, rows>
!C = !optim.tree<f32, @matrices, columns>
!L = !optim.tree<f32, @matrices, per_leaf>

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1], rows.heads = []}, "u" : [2, 5] {rows = [0], columns = [1], rows.heads = []}]

// Folds over axes are results with memory of their own; the map over rows stays between the sweeps.
// CHECK-LABEL: func.func @axis_results(
// CHECK-NEXT:    %r = optim.sweep ins(%p_1 = %p : !optim.tree<f32, @matrices>) outs() -> (!optim.tree<f32, @matrices, rows>) {
// CHECK-NEXT:      %r_1 = optim.map over @matrices (%x = %p_1 : !optim.tree<f32, @matrices>) -> (!optim.tree<f32, @matrices, rows> by <add>) {
// CHECK-NEXT:        optim.yield %x : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %r_1 : !optim.tree<f32, @matrices, rows>
// CHECK-NEXT:    }
// CHECK-NEXT:    %q = optim.map over @matrices (%x = %r : !optim.tree<f32, @matrices, rows>) -> (!optim.tree<f32, @matrices, rows>) {
// CHECK-NEXT:      %y = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.sweep ins(%q_1 = %q : !optim.tree<f32, @matrices, rows>) outs(%p_1 = %p : !optim.tree<f32, @matrices>) -> (!optim.tree<f32, @matrices>) {
// CHECK-NEXT:      %new_1 = optim.map over @matrices (%x = %p_1 : !optim.tree<f32, @matrices>, %y = %q_1 : !optim.tree<f32, @matrices, rows>) -> (!optim.tree<f32, @matrices>) {
// CHECK-NEXT:        %z = arith.divf %x, %y : f32
// CHECK-NEXT:        optim.yield %z : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1 : !optim.tree<f32, @matrices>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @matrices>
// CHECK-NEXT:  }
func.func @axis_results(%p: !M {optim.slot = #optim.slot<params>}) -> (!M {optim.slot = #optim.slot<params>}) {
  %r = optim.map over @matrices (%x = %p : !M) -> (!R by <add>) {
    optim.yield %x : f32
  }
  %q = optim.map over @matrices (%x = %r : !R) -> (!R) {
    %y = math.sqrt %x : f32
    optim.yield %y : f32
  }
  %new = optim.map over @matrices (%x = %p : !M, %y = %q : !R) -> (!M) {
    %z = arith.divf %x, %y : f32
    optim.yield %z : f32
  }
  func.return %new : !M
}
