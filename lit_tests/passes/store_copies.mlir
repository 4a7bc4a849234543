// A map stores what the function returns of its own arguments in another slot than theirs.
// RUN: optcc opt %s -p schedule-levels,store-copies,schedule-levels,form-sweeps | filecheck %s

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
!P = !optim.tree<f32, @all, per_leaf>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// The map that reads the argument and the slot's old value stores it.
// CHECK-LABEL: func.func @stored_by_the_map_that_reads_it(
// CHECK-NEXT:    %new, %old_1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs(%p_1 = %p : !optim.tree<f32, @all>, %old_2 = %old : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1, %old_3 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>, %q = %old_2 : !optim.tree<f32, @all>, %y = %p_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        %0 = arith.subf %x, %q : f32
// CHECK-NEXT:        %1 = arith.addf %y, %0 : f32
// CHECK-NEXT:        optim.yield %1, %x : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1, %old_3 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new, %old_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @stored_by_the_map_that_reads_it(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["old"]>}) {
  %new = optim.map over @all (%x = %g : !T, %q = %old : !T, %y = %p : !T) -> (!T) {
    %0 = arith.subf %x, %q : f32
    %1 = arith.addf %y, %0 : f32
    optim.yield %1 : f32
  }
  func.return %new, %g : !T, !T
}

// Not in the first sweep, although it reads the argument, too: the second one still reads the old value.
// CHECK-LABEL: func.func @stored_by_the_last_reader_of_the_old_value(
// CHECK-NEXT:    %n = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs() -> (f32) {
// CHECK-NEXT:      %n_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:        optim.yield %x : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %n_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %u, %old_1 = optim.sweep ins(%n_1 = %n : f32) outs(%g_1 = %g : !optim.tree<f32, @all>, %old_2 = %old : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %u_1, %old_3 = optim.map over @all (%q = %old_2 : !optim.tree<f32, @all>, %s = %n_1 : f32, %g_2 = %g_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        %0 = arith.divf %q, %s : f32
// CHECK-NEXT:        optim.yield %0, %g_2 : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %u_1, %old_3 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %old_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @stored_by_the_last_reader_of_the_old_value(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>})
    -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["old"]>}) {
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %u = optim.map over @all (%q = %old : !T, %s = %n : f32) -> (!T) {
    %0 = arith.divf %q, %s : f32
    optim.yield %0 : f32
  }
  func.return %u, %g : !T, !T
}

// Not in the last sweep, which reads neither value.
// CHECK-LABEL: func.func @stored_where_it_is_read(
// CHECK-NEXT:    %old_1, %n = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs(%old_2 = %old : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32) {
// CHECK-NEXT:      %n_1, %old_3 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (f32 by <add>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        optim.yield %x, %x : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %old_3, %n_1 : !optim.tree<f32, @all>, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.sweep ins(%n_1 = %n : f32) outs(%p_1 = %p : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1 = optim.map over @all (%y = %p_1 : !optim.tree<f32, @all>, %s = %n_1 : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:        %0 = arith.divf %y, %s : f32
// CHECK-NEXT:        optim.yield %0 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1 : !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new, %old_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @stored_where_it_is_read(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["old"]>}) {
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %new = optim.map over @all (%y = %p : !T, %s = %n : f32) -> (!T) {
    %0 = arith.divf %y, %s : f32
    optim.yield %0 : f32
  }
  func.return %new, %g : !T, !T
}

// A slot that is copied on while it is overwritten: both copies are in one map.
// CHECK-LABEL: func.func @history(
// CHECK-NEXT:    %n = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs() -> (f32) {
// CHECK-NEXT:      %n_1 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:        optim.yield %x : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %n_1 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new, %old_1, %older_1 = optim.sweep ins(%n_1 = %n : f32, %g_1 = %g : !optim.tree<f32, @all>) outs(%p_1 = %p : !optim.tree<f32, @all>, %old_2 = %old : !optim.tree<f32, @all>, %older_2 = %older : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1, %old_3, %older_3 = optim.map over @all (%y = %p_1 : !optim.tree<f32, @all>, %r = %older_2 : !optim.tree<f32, @all>, %s = %n_1 : f32, %g_2 = %g_1 : !optim.tree<f32, @all>, %old_4 = %old_2 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        %0 = arith.mulf %r, %s : f32
// CHECK-NEXT:        %1 = arith.addf %y, %0 : f32
// CHECK-NEXT:        optim.yield %1, %g_2, %old_4 : f32, f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1, %old_3, %older_3 : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new, %old_1, %older_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @history(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %older: !T {optim.slot = #optim.slot<state ["older"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["old"]>}, !T {optim.slot = #optim.slot<state ["older"]>}) {
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %new = optim.map over @all (%y = %p : !T, %r = %older : !T, %s = %n : f32) -> (!T) {
    %0 = arith.mulf %r, %s : f32
    %1 = arith.addf %y, %0 : f32
    optim.yield %1 : f32
  }
  func.return %new, %g, %old : !T, !T, !T
}

// The parts of an argument are stored by the maps over them, also if it is put together again for the return.
// CHECK-LABEL: func.func @parts(
// CHECK-NEXT:    %ga, %gb = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %oa, %ob = optim.split %old : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %pa, %pb = optim.split %p : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %na, %oa_1, %nb, %ob_1 = optim.sweep ins(%ga_1 = %ga : !optim.tree<f32, @a>, %gb_1 = %gb : !optim.tree<f32, @b>) outs(%pa_1 = %pa : !optim.tree<f32, @a>, %oa_2 = %oa : !optim.tree<f32, @a>, %pb_1 = %pb : !optim.tree<f32, @b>, %ob_2 = %ob : !optim.tree<f32, @b>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @a>, !optim.tree<f32, @b>, !optim.tree<f32, @b>) {
// CHECK-NEXT:      %na_1, %oa_3 = optim.map over @a (%y = %pa_1 : !optim.tree<f32, @a>, %q = %oa_2 : !optim.tree<f32, @a>, %ga_2 = %ga_1 : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @a>) {
// CHECK-NEXT:        %0 = arith.subf %y, %q : f32
// CHECK-NEXT:        optim.yield %0, %ga_2 : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %nb_1, %ob_3 = optim.map over @b (%y = %pb_1 : !optim.tree<f32, @b>, %q = %ob_2 : !optim.tree<f32, @b>, %gb_2 = %gb_1 : !optim.tree<f32, @b>) -> (!optim.tree<f32, @b>, !optim.tree<f32, @b>) {
// CHECK-NEXT:        %0 = arith.addf %y, %q : f32
// CHECK-NEXT:        optim.yield %0, %gb_2 : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %na_1, %oa_3, %nb_1, %ob_3 : !optim.tree<f32, @a>, !optim.tree<f32, @a>, !optim.tree<f32, @b>, !optim.tree<f32, @b>
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.join %na, %nb : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    %again = optim.join %oa_1, %ob_1 : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %new, %again : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @parts(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["old"]>}) {
  %oa, %ob = optim.split %old : !T -> !A, !B
  %pa, %pb = optim.split %p : !T -> !A, !B
  %na = optim.map over @a (%y = %pa : !A, %q = %oa : !A) -> (!A) {
    %0 = arith.subf %y, %q : f32
    optim.yield %0 : f32
  }
  %nb = optim.map over @b (%y = %pb : !B, %q = %ob : !B) -> (!B) {
    %0 = arith.addf %y, %q : f32
    optim.yield %0 : f32
  }
  %ga, %gb = optim.split %g : !T -> !A, !B
  %new = optim.join %na, %nb : !A, !B -> !T
  %again = optim.join %ga, %gb : !A, !B -> !T
  func.return %new, %again : !T, !T
}

// Only one part comes from another slot; the join is needed elsewhere, too.
// CHECK-LABEL: func.func @one_part(
// CHECK-NEXT:    %oa, %ob = optim.split %old : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %mixed = optim.join %g, %ob : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    %new, %oa_1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @a>) outs(%p_1 = %p : !optim.tree<f32, @a>, %oa_2 = %oa : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @a>) {
// CHECK-NEXT:      %new_1, %oa_3 = optim.map over @a (%y = %p_1 : !optim.tree<f32, @a>, %x = %g_1 : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @a>) {
// CHECK-NEXT:        %0 = arith.subf %y, %x : f32
// CHECK-NEXT:        optim.yield %0, %x : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1, %oa_3 : !optim.tree<f32, @a>, !optim.tree<f32, @a>
// CHECK-NEXT:    }
// CHECK-NEXT:    %s = optim.call "f"(%mixed) : (!optim.tree<f32, @all>) -> f32
// CHECK-NEXT:    %mixed_1 = optim.join %oa_1, %ob : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %new, %mixed_1, %s : !optim.tree<f32, @a>, !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @one_part(%g: !A {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %p: !A {optim.slot = #optim.slot<params>})
    -> (!A {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["old"]>}, f32) {
  %oa, %ob = optim.split %old : !T -> !A, !B
  %new = optim.map over @a (%y = %p : !A, %x = %g : !A) -> (!A) {
    %0 = arith.subf %y, %x : f32
    optim.yield %0 : f32
  }
  %mixed = optim.join %g, %ob : !A, !B -> !T
  %s = optim.call "f"(%mixed) : (!T) -> f32
  func.return %new, %mixed, %s : !A, !T, f32
}

// No map over the leaves reads either value: the last one reads the argument for the copy.
// CHECK-LABEL: func.func @stored_by_the_last_map(
// CHECK-NEXT:    %new, %old_1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs(%p_1 = %p : !optim.tree<f32, @all>, %old_2 = %old : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %new_1, %old_3 = optim.map over @all (%y = %p_1 : !optim.tree<f32, @all>, %g_2 = %g_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        %0 = arith.mulf %y, %y : f32
// CHECK-NEXT:        optim.yield %0, %g_2 : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %new_1, %old_3 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new, %old_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @stored_by_the_last_map(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<params>}, !T {optim.slot = #optim.slot<state ["old"]>}) {
  %new = optim.map over @all (%y = %p : !T) -> (!T) {
    %0 = arith.mulf %y, %y : f32
    optim.yield %0 : f32
  }
  func.return %new, %g : !T, !T
}

// No map over the elements of these leaves: the copies get one of their own. The argument goes to two other slots.
// CHECK-LABEL: func.func @no_map(
// CHECK-NEXT:    %n1 = optim.map over @all (%x = %n : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %0 = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %0 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %b1 = optim.sweep ins(%b_1 = %b : !optim.tree<f32, @b>) outs() -> (!optim.tree<f32, @b>) {
// CHECK-NEXT:      %b1_1 = optim.map over @b (%x = %b_1 : !optim.tree<f32, @b>) -> (!optim.tree<f32, @b>) {
// CHECK-NEXT:        %0 = arith.mulf %x, %x : f32
// CHECK-NEXT:        optim.yield %0 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %b1_1 : !optim.tree<f32, @b>
// CHECK-NEXT:    }
// CHECK-NEXT:    %old_1, %older_1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs(%old_2 = %old : !optim.tree<f32, @all>, %older_2 = %older : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %old_3, %older_3 = optim.map over @all (%g_2 = %g_1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        optim.yield %g_2, %g_2 : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %old_3, %older_3 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %g, %old_1, %older_1, %n1, %b1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all, per_leaf>, !optim.tree<f32, @b>
// CHECK-NEXT:  }
func.func @no_map(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>}, %older: !T {optim.slot = #optim.slot<state ["older"]>}, %n: !P, %b: !B)
    -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["old"]>}, !T {optim.slot = #optim.slot<state ["older"]>}, !P, !B) {
  %n1 = optim.map over @all (%x = %n : !P) -> (!P) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %b1 = optim.map over @b (%x = %b : !B) -> (!B) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  func.return %g, %g, %g, %n1, %b1 : !T, !T, !T, !P, !B
}

// Two slots that change places.
// CHECK-LABEL: func.func @exchange(
// CHECK-NEXT:    %a_1, %b_1 = optim.sweep ins() outs(%a_2 = %a : !optim.tree<f32, @all>, %b_2 = %b : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %a_3, %b_3 = optim.map over @all (%b_4 = %b_2 : !optim.tree<f32, @all>, %a_4 = %a_2 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        optim.yield %b_4, %a_4 : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %a_3, %b_3 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %a_1, %b_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @exchange(%a: !T {optim.slot = #optim.slot<state ["a"]>}, %b: !T {optim.slot = #optim.slot<state ["b"]>}) -> (!T {optim.slot = #optim.slot<state ["a"]>}, !T {optim.slot = #optim.slot<state ["b"]>}) {
  func.return %b, %a : !T, !T
}

// Refusal: the old value is read by a call behind all sweeps, so that the copy gets an array of its own.
// CHECK-LABEL: func.func @old_value_in_a_call(
// CHECK-NEXT:    %n, %old_1 = optim.sweep ins(%g_1 = %g : !optim.tree<f32, @all>) outs() -> (f32, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %n_1, %old_2 = optim.map over @all (%x = %g_1 : !optim.tree<f32, @all>) -> (f32 by <add>, !optim.tree<f32, @all>) {
// CHECK-NEXT:        optim.yield %x, %x : f32, f32
// CHECK-NEXT:      }
// CHECK-NEXT:      optim.yield %n_1, %old_2 : f32, !optim.tree<f32, @all>
// CHECK-NEXT:    }
// CHECK-NEXT:    %s = optim.call "f"(%old, %n) : (!optim.tree<f32, @all>, f32) -> f32
// CHECK-NEXT:    func.return %s, %old_1 : f32, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @old_value_in_a_call(%g: !T {optim.slot = #optim.slot<updates>}, %old: !T {optim.slot = #optim.slot<state ["old"]>})
    -> (f32, !T {optim.slot = #optim.slot<state ["old"]>}) {
  %n = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %s = optim.call "f"(%old, %n) : (!T, f32) -> f32
  func.return %s, %g : f32, !T
}

// Refusals: the result has no slot, its argument has another type or is not there, or holds no elements.
// CHECK-LABEL: func.func @no_slot_for_the_copy(
// CHECK-NEXT:    func.return %g, %g, %g, %n, %g : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all, per_leaf>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @no_slot_for_the_copy(%g: !T {optim.slot = #optim.slot<updates>}, %h: !H {optim.slot = #optim.slot<state ["half"]>}, %n: !P {optim.slot = #optim.slot<state ["n"]>}, %m: !P {optim.slot = #optim.slot<state ["m"]>})
    -> (!T, !T {optim.slot = #optim.slot<state ["half"]>}, !T {optim.slot = #optim.slot<state ["none"]>}, !P {optim.slot = #optim.slot<state ["m"]>}, !T {optim.slot = #optim.slot<updates>}) {
  func.return %g, %g, %g, %n, %g : !T, !T, !T, !P, !T
}
