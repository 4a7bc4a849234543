// RUN: optcc opt %s --split-input-file | filecheck %s

!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C1): 'optim.map' is not a map over elements
func.func @c1_per_leaf(%s: !P) -> !P {
  %0 = optim.sweep ins(%t = %s : !P) outs() -> (!P) {
    %1 = optim.map over @all (%x = %t : !P) -> (!P) {
      optim.yield %x : f32
    }
    optim.yield %1 : !P
  }
  func.return %0 : !P
}

// -----

!R = !optim.tree<f32, @all, rows>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.sweep' (C1): 'optim.map' is not a map over elements
func.func @c1_rows(%r: !R) -> !R {
  %0 = optim.sweep ins(%s = %r : !R) outs() -> (!R) {
    %1 = optim.map over @all (%x = %s : !R) -> (!R) {
      optim.yield %x : f32
    }
    optim.yield %1 : !R
  }
  func.return %0 : !R
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C1): 'optim.reduce' is not a map over elements
func.func @c1_op(%g: !T) -> f32 {
  %0 = optim.sweep ins(%h = %g : !T) outs() -> (f32) {
    %1 = optim.reduce <add> %h : !T -> f32
    optim.yield %1 : f32
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C2): leaf "b" is visited twice
func.func @c2(%g: !T, %h: !B) -> (f32, f32) {
  %0, %1 = optim.sweep ins(%y = %g : !T, %z = %h : !B) outs() -> (f32, f32) {
    %2 = optim.map over @all (%x = %y : !T) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    %3 = optim.map over @b (%x = %z : !B) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    optim.yield %2, %3 : f32, f32
  }
  func.return %0, %1 : f32, f32
}

// -----

!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C3): a map uses the result of another map of the sweep
func.func @c3(%g: !A, %h: !B) -> !B {
  %0 = optim.sweep ins(%y = %g : !A, %z = %h : !B) outs() -> (!B) {
    %1 = optim.map over @a (%x = %y : !A) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    %2 = optim.map over @b (%x = %z : !B, %s = %1 : f32) -> (!B) {
      %3 = arith.mulf %x, %s : f32
      optim.yield %3 : f32
    }
    optim.yield %2 : !B
  }
  func.return %0 : !B
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C4): the values yielded do not have the types of the results
func.func @c4_type(%g: !T) -> f32 {
  %0 = optim.sweep ins(%h = %g : !T) outs() -> (f32) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C4): the values yielded do not have the types of the results
func.func @c4_count(%g: !T) -> !T {
  %0 = optim.sweep ins(%h = %g : !T) outs() -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1, %1 : !T, !T
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C5): the arguments of the body do not have the types of the operands
func.func @c5(%g: !T, %s: f32) -> !T {
  %0 = "optim.sweep"(%g, %s) <{operandSegmentSizes = array<i32: 2, 0>}> ({
  ^bb0(%h: !T):
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }) : (!T, f32) -> !T
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C6): the first results do not have the types of the outs
func.func @c6_type(%p: !H, %g: !T) -> !T {
  %0 = optim.sweep ins(%h = %g : !T) outs(%q = %p : !H) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C6): the first results do not have the types of the outs
func.func @c6_count(%p: !T, %g: !T) -> !T {
  %0 = optim.sweep ins() outs(%h = %p : !T, %q = %g : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]

// A part of an out is not overwritten: the part is the out.
// CHECK: error: 'optim.sweep' (C6): the first results do not have the types of the outs
func.func @c6_leaves(%p: !T, %g: !A) -> !A {
  %0 = optim.sweep ins(%h = %g : !A) outs(%q = %p : !T) -> (!A) {
    %1 = optim.map over @a (%x = %h : !A) -> (!A) {
      optim.yield %x : f32
    }
    optim.yield %1 : !A
  }
  func.return %0 : !A
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C7): a value is an operand twice
func.func @c7(%p: !T) -> !T {
  %0 = optim.sweep ins(%h = %p : !T) outs(%q = %p : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C8): out %n is no tree of elements that is an argument or a part of one
func.func @c8_per_leaf(%g: !T, %n: !P) -> !P {
  %0 = optim.sweep ins(%h = %g : !T) outs(%m = %n : !P) -> (!P) {
    %1 = optim.map over @all (%x = %h : !T) -> (!P by <add>) {
      optim.yield %x : f32
    }
    optim.yield %1 : !P
  }
  func.return %0 : !P
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C8): out %s is no tree of elements that is an argument or a part of one
func.func @c8_scalar(%g: !T, %s: f32) -> f32 {
  %0 = optim.sweep ins(%h = %g : !T) outs(%t = %s : f32) -> (f32) {
    %1 = optim.map over @all (%x = %h : !T) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    optim.yield %1 : f32
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C8): out %u is no tree of elements that is an argument or a part of one
func.func @c8_not_an_argument(%g: !T) -> !T {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    optim.yield %x : f32
  }
  %0 = optim.sweep ins() outs(%h = %u : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C9): out %b shares memory with another operand
func.func @c9_two_outs(%p: !T) -> (!A, !A) {
  %a, %r = optim.split %p : !T -> !A, !B
  %b, %s = optim.split %p : !T -> !A, !B
  %0, %2 = optim.sweep ins() outs(%h = %b : !A, %i = %a : !A) -> (!A, !A) {
    %1 = optim.map over @a (%x = %h : !A) -> (!A) {
      optim.yield %x : f32
    }
    optim.yield %1, %1 : !A, !A
  }
  func.return %0, %2 : !A, !A
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C9): out %a shares memory with another operand
func.func @c9_in_and_out(%p: !T) -> !A {
  %a, %r = optim.split %p : !T -> !A, !B
  %b, %s = optim.split %p : !T -> !A, !B
  %0 = optim.sweep ins(%h = %b : !A) outs(%i = %a : !A) -> (!A) {
    %1 = optim.map over @a (%x = %h : !A) -> (!A) {
      optim.yield %x : f32
    }
    optim.yield %1 : !A
  }
  func.return %0 : !A
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'func.return' reads what out %p held; read it before the sweep, or give the result memory of its own
func.func @c10_returned(%p: !T) -> (!T, !T) {
  %0 = optim.sweep ins() outs(%h = %p : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0, %p : !T, !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'optim.reduce' reads what out %p held;
func.func @c10_itself(%p: !T) -> (!T, f32) {
  %0 = optim.sweep ins() outs(%h = %p : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  %s = optim.reduce <add> %p : !T -> f32
  func.return %0, %s : !T, f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'optim.sweep' reads what out %p held;
func.func @c10_overwritten_again(%p: !T) -> (!T, !T) {
  %0 = optim.sweep ins() outs(%h = %p : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  %2 = optim.sweep ins() outs(%h = %p : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0, %2 : !T, !T
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'optim.reduce' reads what out %a held;
func.func @c10_the_whole(%p: !T) -> (!A, f32) {
  %a, %b = optim.split %p : !T -> !A, !B
  %0 = optim.sweep ins() outs(%h = %a : !A) -> (!A) {
    %1 = optim.map over @a (%x = %h : !A) -> (!A) {
      optim.yield %x : f32
    }
    optim.yield %1 : !A
  }
  %s = optim.reduce <add> %p : !T -> f32
  func.return %0, %s : !A, f32
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'optim.reduce' reads what out %p held;
func.func @c10_a_part(%p: !T) -> (!T, f32) {
  %a, %b = optim.split %p : !T -> !A, !B
  %0 = optim.sweep ins() outs(%h = %p : !T) -> (!T) {
    %1 = optim.map over @all (%x = %h : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  %s = optim.reduce <add> %b : !B -> f32
  func.return %0, %s : !T, f32
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'func.return' reads what out %a held;
func.func @c10_a_join(%a: !A, %b: !B) -> (!A, !T) {
  %t = optim.join %a, %b : !A, !B -> !T
  %0 = optim.sweep ins() outs(%h = %a : !A) -> (!A) {
    %1 = optim.map over @a (%x = %h : !A) -> (!A) {
      optim.yield %x : f32
    }
    optim.yield %1 : !A
  }
  func.return %0, %t : !A, !T
}

// -----

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C10): 'func.return' reads what out %a held;
func.func @c10_a_part_of_a_join(%a: !A, %b: !B) -> (!A, !A) {
  %0 = optim.sweep ins() outs(%h = %a : !A) -> (!A) {
    %1 = optim.map over @a (%x = %h : !A) -> (!A) {
      optim.yield %x : f32
    }
    optim.yield %1 : !A
  }
  %t = optim.join %a, %b : !A, !B -> !T
  %c, %d = optim.split %t : !T -> !A, !B
  func.return %0, %c : !A, !A
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep': Operation using value defined out of its IsolatedFromAbove parent
func.func @isolated_from_above(%g: !T) -> !T {
  %0 = optim.sweep ins() outs() -> (!T) {
    %1 = optim.map over @all (%x = %g : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  }
  func.return %0 : !T
}
