// RUN: optcc opt %s --split-input-file | filecheck %s

!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C1): 'optim.map' is not a map over elements
func.func @c1_per_leaf(%s: !P) -> !P {
  %0 = optim.sweep writes [""] {
    %1 = optim.map over @all (%x = %s : !P) -> (!P) {
      optim.yield %x : f32
    }
    optim.yield %1 : !P
  } -> !P
  func.return %0 : !P
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK: error: 'optim.sweep' (C1): 'optim.reduce' is not a map over elements
func.func @c1_op(%g: !T) -> f32 {
  %0 = optim.sweep writes [""] {
    %1 = optim.reduce <add> %g : !T -> f32
    optim.yield %1 : f32
  } -> f32
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C2): leaf "b" is visited twice
func.func @c2(%g: !T, %h: !B) -> (f32, f32) {
  %0, %1 = optim.sweep writes ["", ""] {
    %2 = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    %3 = optim.map over @b (%x = %h : !B) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    optim.yield %2, %3 : f32, f32
  } -> f32, f32
  func.return %0, %1 : f32, f32
}

// -----

!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK: error: 'optim.sweep' (C3): a map uses the result of another map of the sweep
func.func @c3(%g: !A, %h: !B) -> !B {
  %0 = optim.sweep writes [""] {
    %1 = optim.map over @a (%x = %g : !A) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    %2 = optim.map over @b (%x = %h : !B, %s = %1 : f32) -> (!B) {
      %3 = arith.mulf %x, %s : f32
      optim.yield %3 : f32
    }
    optim.yield %2 : !B
  } -> !B
  func.return %0 : !B
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C4): the values yielded do not have the types of the results
func.func @c4_type(%g: !T) -> f32 {
  %0 = optim.sweep writes [""] {
    %1 = optim.map over @all (%x = %g : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  } -> f32
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C4): the values yielded do not have the types of the results
func.func @c4_count(%g: !T) -> !T {
  %0 = optim.sweep writes [""] {
    %1 = optim.map over @all (%x = %g : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1, %1 : !T, !T
  } -> !T
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C5): 1 results, but 2 entries in `writes`
func.func @c5_count(%g: !T) -> !T {
  %0 = optim.sweep writes ["", ""] {
    %1 = optim.map over @all (%x = %g : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  } -> !T
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C5): "mu" is no slot of the function that holds !optim.tree<f32, @all>
func.func @c5_unknown_slot(%g: !T {optim.slot = #optim.slot<state ["nu"]>}) -> !T {
  %0 = optim.sweep writes ["mu"] {
    %1 = optim.map over @all (%x = %g : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  } -> !T
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C5): "mu" is no slot of the function that holds !optim.tree<bf16, @all>
func.func @c5_element_type(%g: !T {optim.slot = #optim.slot<state ["mu"]>}) -> !H {
  %0 = optim.sweep writes ["mu"] {
    %1 = optim.map over @all (%x = %g : !T) -> (!H) {
      %2 = arith.truncf %x : f32 to bf16
      optim.yield %2 : bf16
    }
    optim.yield %1 : !H
  } -> !H
  func.return %0 : !H
}

// -----

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C5): "mu" is no slot of the function that holds !optim.tree<f32, @all, per_leaf>
func.func @c5_extent(%g: !T {optim.slot = #optim.slot<state ["mu"]>}) -> !P {
  %0 = optim.sweep writes ["mu"] {
    %1 = optim.map over @all (%x = %g : !T) -> (!P by <add>) {
      optim.yield %x : f32
    }
    optim.yield %1 : !P
  } -> !P
  func.return %0 : !P
}

// -----

!T = !optim.tree<f32, @all>
!B = !optim.tree<f32, @b>
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @b = ["b" : [4]]

// The slot has to have all leaves of the result.
// CHECK: error: 'optim.sweep' (C5): "b" is no slot of the function that holds !optim.tree<f32, @all>
func.func @c5_leaves(%g: !T, %b: !B {optim.slot = #optim.slot<state ["b"]>}) -> !T {
  %0 = optim.sweep writes ["b"] {
    %1 = optim.map over @all (%x = %g : !T) -> (!T) {
      optim.yield %x : f32
    }
    optim.yield %1 : !T
  } -> !T
  func.return %0 : !T
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.sweep' (C5): "s" is no slot of the function that holds f32
func.func @c5_scalar(%g: !T, %s: f32 {optim.slot = #optim.slot<state ["s"]>}) -> f32 {
  %0 = optim.sweep writes ["s"] {
    %1 = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
      optim.yield %x : f32
    }
    optim.yield %1 : f32
  } -> f32
  func.return %0 : f32
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.sweep' (C1): 'optim.map' is not a map over elements
func.func @c1_rows(%r: !R) -> !R {
  %0 = optim.sweep writes [""] {
    %1 = optim.map over @all (%x = %r : !R) -> (!R) {
      optim.yield %x : f32
    }
    optim.yield %1 : !R
  } -> !R
  func.return %0 : !R
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.sweep' (C5): "v" is no slot of the function that holds !optim.tree<f32, @all, rows>
func.func @c5_axis_extent(%g: !M, %c: !C {optim.slot = #optim.slot<state ["v"]>}) -> !R {
  %0 = optim.sweep writes ["v"] {
    %1 = optim.map over @all (%x = %g : !M) -> (!R by <add>) {
      optim.yield %x : f32
    }
    optim.yield %1 : !R
  } -> !R
  func.return %0 : !R
}
