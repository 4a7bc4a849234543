// RUN: optcc opt %s -p rematerialize | filecheck %s
// RUN: optcc opt %s -p "rematerialize{factor=0.5}" | filecheck %s --check-prefix=HALF

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
!P = !optim.tree<f32, @all, per_leaf>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// %mu1 is stored anyway, so %u is computed from it again.
// HALF-LABEL: func.func @reads_what_is_stored(
// HALF:         %new = optim.map over @all ({{.*}}, %a = %mu1 : !optim.tree<f32, @all>)
// CHECK-LABEL: func.func @reads_what_is_stored(
// CHECK-NEXT:    %mu1, %u, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %m = %mu : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK-NEXT:      %a = arith.addf %m, %x : f32
// CHECK-NEXT:      %b = math.sqrt %a : f32
// CHECK-NEXT:      optim.yield %a, %b, %b : f32, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %q = %p : !optim.tree<f32, @all>, %s = %n : !optim.tree<f32, @all, per_leaf>, %a = %mu1 : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %b = math.sqrt %a : f32
// CHECK-NEXT:      %c = arith.divf %b, %s : f32
// CHECK-NEXT:      %d = arith.addf %q, %c : f32
// CHECK-NEXT:      optim.yield %d : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1, %new : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @reads_what_is_stored(%g: !T, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}, %p: !T) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %mu1, %u, %n = optim.map over @all (%x = %g : !T, %m = %mu : !T) -> (!T, !T, !P by <add>) {
    %a = arith.addf %m, %x : f32
    %b = math.sqrt %a : f32
    optim.yield %a, %b, %b : f32, f32, f32
  }
  %new = optim.map over @all (%y = %u : !T, %q = %p : !T, %s = %n : !P) -> (!T) {
    %c = arith.divf %y, %s : f32
    %d = arith.addf %q, %c : f32
    optim.yield %d : f32
  }
  func.return %mu1, %new : !T, !T
}

// Refusal: what is stored is rounded. The second map reads what the first one read, and as that is the old value of the
// slot, the store moves to the second map.
// CHECK-LABEL: func.func @does_not_read_rounded_values(
// CHECK-NEXT:    %mu1, %u, %n = optim.map over @all (%x = %g : !optim.tree<bf16, @all>, %m = %mu : !optim.tree<bf16, @all>) -> (!optim.tree<bf16, @all>, !optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %x1 = arith.extf %x : bf16 to f32
// CHECK-NEXT:      %m1 = arith.extf %m : bf16 to f32
// CHECK-NEXT:      %a = arith.addf %m1, %x1 : f32
// CHECK-NEXT:      %r = arith.truncf %a : f32 to bf16
// CHECK-NEXT:      optim.yield %r, %a, %a : bf16, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new, %mu1_1 = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %s = %n : f32, %x = %g : !optim.tree<bf16, @all>, %m = %mu : !optim.tree<bf16, @all>) -> (!optim.tree<f32, @all>, !optim.tree<bf16, @all>) {
// CHECK-NEXT:      %x1 = arith.extf %x : bf16 to f32
// CHECK-NEXT:      %m1 = arith.extf %m : bf16 to f32
// CHECK-NEXT:      %a = arith.addf %m1, %x1 : f32
// CHECK-NEXT:      %c = arith.divf %a, %s : f32
// CHECK-NEXT:      %x1_1 = arith.extf %x : bf16 to f32
// CHECK-NEXT:      %m1_1 = arith.extf %m : bf16 to f32
// CHECK-NEXT:      %a_1 = arith.addf %m1_1, %x1_1 : f32
// CHECK-NEXT:      %r = arith.truncf %a_1 : f32 to bf16
// CHECK-NEXT:      optim.yield %c, %r : f32, bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1_1, %new : !optim.tree<bf16, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @does_not_read_rounded_values(%g: !H, %mu: !H {optim.slot = #optim.slot<state ["mu"]>}) -> (!H {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %mu1, %u, %n = optim.map over @all (%x = %g : !H, %m = %mu : !H) -> (!H, !T, f32 by <add>) {
    %x1 = arith.extf %x : bf16 to f32
    %m1 = arith.extf %m : bf16 to f32
    %a = arith.addf %m1, %x1 : f32
    %r = arith.truncf %a : f32 to bf16
    optim.yield %r, %a, %a : bf16, f32, f32
  }
  %new = optim.map over @all (%y = %u : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %y, %s : f32
    optim.yield %c : f32
  }
  func.return %mu1, %new : !H, !T
}

// A part of a joined result is stored, too.
// CHECK-LABEL: func.func @reads_a_part_that_is_stored(
// CHECK-NEXT:    %m, %u, %n = optim.map over @a (%x = %g : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>, !optim.tree<f32, @a>, f32 by <add>) {
// CHECK-NEXT:      %a = arith.mulf %x, %x : f32
// CHECK-NEXT:      %b = math.sqrt %a : f32
// CHECK-NEXT:      optim.yield %a, %b, %b : f32, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @a (%y = %u : !optim.tree<f32, @a>, %s = %n : f32, %a = %m : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
// CHECK-NEXT:      %b = math.sqrt %a : f32
// CHECK-NEXT:      %c = arith.divf %b, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %w = optim.join %m, %h : !optim.tree<f32, @a>, !optim.tree<f32, @b> -> !optim.tree<f32, @all>
// CHECK-NEXT:    func.return %w, %new : !optim.tree<f32, @all>, !optim.tree<f32, @a>
// CHECK-NEXT:  }
func.func @reads_a_part_that_is_stored(%g: !A, %h: !B) -> (!T, !A) {
  %m, %u, %n = optim.map over @a (%x = %g : !A) -> (!A, !A, f32 by <add>) {
    %a = arith.mulf %x, %x : f32
    %b = math.sqrt %a : f32
    optim.yield %a, %b, %b : f32, f32, f32
  }
  %new = optim.map over @a (%y = %u : !A, %s = %n : f32) -> (!A) {
    %c = arith.divf %y, %s : f32
    optim.yield %c : f32
  }
  %w = optim.join %m, %h : !A, !B -> !T
  func.return %w, %new : !T, !A
}

// Refusal: %b is a result of the first map, but nothing keeps it in memory for the caller.
// CHECK-LABEL: func.func @does_not_read_what_is_not_stored(
// CHECK-NEXT:    %b, %u, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      %t = math.sqrt %s : f32
// CHECK-NEXT:      optim.yield %s, %t, %t : f32, f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %m = optim.reduce <max> %b : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    %new = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %s = %n : f32, %x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s_1 = arith.mulf %x, %x : f32
// CHECK-NEXT:      %t = math.sqrt %s_1 : f32
// CHECK-NEXT:      %c = arith.divf %t, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new, %m : !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @does_not_read_what_is_not_stored(%g: !T) -> (!T, f32) {
  %b, %u, %n = optim.map over @all (%x = %g : !T) -> (!T, !T, f32 by <add>) {
    %s = arith.mulf %x, %x : f32
    %t = math.sqrt %s : f32
    optim.yield %s, %t, %t : f32, f32, f32
  }
  %m = optim.reduce <max> %b : !T -> f32
  %new = optim.map over @all (%y = %u : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %y, %s : f32
    optim.yield %c : f32
  }
  func.return %new, %m : !T, f32
}

// Refusal: a value that is returned is in memory anyway.
// CHECK-LABEL: func.func @keeps_what_is_returned(
// CHECK-NEXT:    %u, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %a = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %a, %a : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %s = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.divf %y, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %new : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_what_is_returned(%g: !T) -> (!T, !T) {
  %u, %n = optim.map over @all (%x = %g : !T) -> (!T, f32 by <add>) {
    %a = math.sqrt %x : f32
    optim.yield %a, %a : f32, f32
  }
  %new = optim.map over @all (%y = %u : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %y, %s : f32
    optim.yield %c : f32
  }
  func.return %u, %new : !T, !T
}

// Refusal: a fold is not computed again.
// CHECK-LABEL: func.func @keeps_folds(
// CHECK-NEXT:    %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %s = %n : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.divf %x, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_folds(%g: !T) -> !T {
  %n = optim.map over @all (%x = %g : !T) -> (!P by <add>) {
    optim.yield %x : f32
  }
  %new = optim.map over @all (%x = %g : !T, %s = %n : !P) -> (!T) {
    %c = arith.divf %x, %s : f32
    optim.yield %c : f32
  }
  func.return %new : !T
}

// Refusal: what is computed once a leaf is not computed for every element.
// CHECK-LABEL: func.func @keeps_per_leaf_values(
// CHECK-NEXT:    %r = optim.map over @all (%x = %s : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %a = math.sqrt %x : f32
// CHECK-NEXT:      optim.yield %a : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %y = %r : !optim.tree<f32, @all, per_leaf>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.divf %x, %y : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_per_leaf_values(%g: !T, %s: !P) -> !T {
  %r = optim.map over @all (%x = %s : !P) -> (!P) {
    %a = math.sqrt %x : f32
    optim.yield %a : f32
  }
  %new = optim.map over @all (%x = %g : !T, %y = %r : !P) -> (!T) {
    %c = arith.divf %x, %y : f32
    optim.yield %c : f32
  }
  func.return %new : !T
}

// Refusal: reading five trees, 20 bytes an element, costs more than twice a store and a load of one, 16.
// CHECK-LABEL: func.func @too_much_to_read(
// CHECK-NEXT:    %u, %n = optim.map over @all (%v = %a : !optim.tree<f32, @all>, %w = %b : !optim.tree<f32, @all>, %x = %c : !optim.tree<f32, @all>, %y = %d : !optim.tree<f32, @all>, %z = %e : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %0 = arith.addf %v, %w : f32
// CHECK-NEXT:      %1 = arith.addf %0, %x : f32
// CHECK-NEXT:      %2 = arith.addf %1, %y : f32
// CHECK-NEXT:      %3 = arith.addf %2, %z : f32
// CHECK-NEXT:      optim.yield %3, %3 : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %s = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %0 = arith.divf %y, %s : f32
// CHECK-NEXT:      optim.yield %0 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @too_much_to_read(%a: !T, %b: !T, %c: !T, %d: !T, %e: !T) -> !T {
  %u, %n = optim.map over @all (%v = %a : !T, %w = %b : !T, %x = %c : !T, %y = %d : !T, %z = %e : !T) -> (!T, f32 by <add>) {
    %0 = arith.addf %v, %w : f32
    %1 = arith.addf %0, %x : f32
    %2 = arith.addf %1, %y : f32
    %3 = arith.addf %2, %z : f32
    optim.yield %3, %3 : f32, f32
  }
  %new = optim.map over @all (%y = %u : !T, %s = %n : f32) -> (!T) {
    %4 = arith.divf %y, %s : f32
    optim.yield %4 : f32
  }
  func.return %new : !T
}

// Two more trees are read, 8 bytes an element. Storing and loading one costs 8; factor 0.5 allows 4.
// HALF-LABEL: func.func @two_trees(
// HALF:         %new = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %s = %n : f32) ->
// HALF-NEXT:      %c = arith.divf %y, %s : f32
// CHECK-LABEL: func.func @two_trees(
// CHECK-NEXT:    %u, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %z = %h : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %a = arith.mulf %x, %z : f32
// CHECK-NEXT:      optim.yield %a, %a : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%y = %u : !optim.tree<f32, @all>, %s = %n : f32, %x = %g : !optim.tree<f32, @all>, %z = %h : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %a = arith.mulf %x, %z : f32
// CHECK-NEXT:      %c = arith.divf %a, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %new : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @two_trees(%g: !T, %h: !T) -> !T {
  %u, %n = optim.map over @all (%x = %g : !T, %z = %h : !T) -> (!T, f32 by <add>) {
    %a = arith.mulf %x, %z : f32
    optim.yield %a, %a : f32, f32
  }
  %new = optim.map over @all (%y = %u : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %y, %s : f32
    optim.yield %c : f32
  }
  func.return %new : !T
}

// Refusal: nothing reads the old %mu after the first map, so its store stays there.
// CHECK-LABEL: func.func @keeps_a_store_that_nothing_waits_for(
// CHECK-NEXT:    %mu1, %n = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %m = %mu : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %a = arith.addf %m, %x : f32
// CHECK-NEXT:      optim.yield %a, %x : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new = optim.map over @all (%x = %g : !optim.tree<f32, @all>, %s = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.divf %x, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1, %new : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_a_store_that_nothing_waits_for(%g: !T, %mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %mu1, %n = optim.map over @all (%x = %g : !T, %m = %mu : !T) -> (!T, f32 by <add>) {
    %a = arith.addf %m, %x : f32
    optim.yield %a, %x : f32, f32
  }
  %new = optim.map over @all (%x = %g : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %x, %s : f32
    optim.yield %c : f32
  }
  func.return %mu1, %new : !T, !T
}

// Refusal: the other map that reads the old %mu comes before the one that writes it.
// CHECK-LABEL: func.func @keeps_a_store_behind_all_readers(
// CHECK-NEXT:    %n = optim.map over @all (%m = %mu : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %m : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %mu1 = optim.map over @all (%m = %mu : !optim.tree<f32, @all>, %s = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %a = arith.divf %m, %s : f32
// CHECK-NEXT:      optim.yield %a : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1 : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_a_store_behind_all_readers(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}) {
  %n = optim.map over @all (%m = %mu : !T) -> (f32 by <add>) {
    optim.yield %m : f32
  }
  %mu1 = optim.map over @all (%m = %mu : !T, %s = %n : f32) -> (!T) {
    %a = arith.divf %m, %s : f32
    optim.yield %a : f32
  }
  func.return %mu1 : !T
}

// A slot whose old value is read again later is written only there.
// CHECK-LABEL: func.func @moves_a_store_behind_the_last_reader(
// CHECK-NEXT:    %mu1, %n = optim.map over @all (%m = %mu : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %a = arith.mulf %m, %m : f32
// CHECK-NEXT:      optim.yield %a, %m : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %new, %mu1_1 = optim.map over @all (%x = %mu : !optim.tree<f32, @all>, %s = %n : f32) -> (!optim.tree<f32, @all>, !optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.divf %x, %s : f32
// CHECK-NEXT:      %a = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %c, %a : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1_1, %new : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @moves_a_store_behind_the_last_reader(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T) {
  %mu1, %n = optim.map over @all (%m = %mu : !T) -> (!T, f32 by <add>) {
    %a = arith.mulf %m, %m : f32
    optim.yield %a, %m : f32, f32
  }
  %new = optim.map over @all (%x = %mu : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %x, %s : f32
    optim.yield %c : f32
  }
  func.return %mu1, %new : !T, !T
}

// Refusal: the new value is used before the old one is read again.
// CHECK-LABEL: func.func @keeps_a_store_that_is_used(
// CHECK-NEXT:    %mu1, %n = optim.map over @all (%m = %mu : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      %a = arith.mulf %m, %m : f32
// CHECK-NEXT:      optim.yield %a, %m : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %v = optim.call "f"(%mu1) : (!optim.tree<f32, @all>) -> f32
// CHECK-NEXT:    %new = optim.map over @all (%x = %mu : !optim.tree<f32, @all>, %s = %n : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.divf %x, %s : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %mu1, %new, %v : !optim.tree<f32, @all>, !optim.tree<f32, @all>, f32
// CHECK-NEXT:  }
func.func @keeps_a_store_that_is_used(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T, f32) {
  %mu1, %n = optim.map over @all (%m = %mu : !T) -> (!T, f32 by <add>) {
    %a = arith.mulf %m, %m : f32
    optim.yield %a, %m : f32, f32
  }
  %v = optim.call "f"(%mu1) : (!T) -> f32
  %new = optim.map over @all (%x = %mu : !T, %s = %n : f32) -> (!T) {
    %c = arith.divf %x, %s : f32
    optim.yield %c : f32
  }
  func.return %mu1, %new, %v : !T, !T, f32
}
