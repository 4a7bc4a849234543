// RUN: optcc opt %s --split-input-file | filecheck %s

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce' (C1): a reduction needs a combiner: <add>, <max> or <min>
func.func @c1(%g: !T) -> f32 {
  %0 = optim.reduce <none> %g : !T -> f32
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce' (C2): !optim.tree<f32, @all> cannot be reduced to f64
func.func @c2_element_type(%g: !T) -> f64 {
  %0 = optim.reduce <add> %g : !T -> f64
  func.return %0 : f64
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce' (C2): !optim.tree<f32, @all> cannot be reduced to !optim.tree<f32, @all>
func.func @c2_elements(%g: !T) -> !T {
  %0 = optim.reduce <add> %g : !T -> !T
  func.return %0 : !T
}

// -----

!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce' (C2): !optim.tree<f32, @all, per_leaf> cannot be reduced to !optim.tree<f32, @all, per_leaf>
func.func @c2_per_leaf(%s: !P) -> !P {
  %0 = optim.reduce <add> %s : !P -> !P
  func.return %0 : !P
}

// -----

!T = !optim.tree<f32, @all>
!Q = !optim.tree<f32, @other, per_leaf>
optim.leaves @all = ["w" : [3, 4]]
optim.leaves @other = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce' (C2): !optim.tree<f32, @all> cannot be reduced to !optim.tree<f32, @other, per_leaf>
func.func @c2_leaf_set(%g: !T) -> !Q {
  %0 = optim.reduce <add> %g : !T -> !Q
  func.return %0 : !Q
}

// -----

optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce' (C3): the element type must be a float, got i32
func.func @c3(%k: !optim.tree<i32, @all>) -> i32 {
  %0 = optim.reduce <add> %k : !optim.tree<i32, @all> -> i32
  func.return %0 : i32
}

// -----

// CHECK: error: f32 should be of base attribute optim.tree
func.func @no_tree(%s: f32) -> f32 {
  %0 = optim.reduce <add> %s : f32 -> f32
  func.return %0 : f32
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.reduce' (C2): !optim.tree<f32, @all, rows> cannot be reduced to !optim.tree<f32, @all, columns>
func.func @c2_other_axes(%r: !R) -> !C {
  %0 = optim.reduce <add> %r : !R -> !C
  func.return %0 : !C
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.reduce' (C2): !optim.tree<f32, @all, per_leaf> cannot be reduced to !optim.tree<f32, @all, rows>
func.func @c2_finer(%s: !P) -> !R {
  %0 = optim.reduce <add> %s : !P -> !R
  func.return %0 : !R
}

// -----

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!C = !optim.tree<f32, @all, columns>
!P = !optim.tree<f32, @all, per_leaf>
optim.leaves @all = ["w" : [3, 4] {rows = [0], columns = [1]}]

// CHECK: error: 'optim.reduce' (C3): the element type must be a float, got complex<f32>
func.func @c3_complex(%z: !optim.tree<complex<f32>, @all>) -> complex<f32> {
  %0 = optim.reduce <add> %z : !optim.tree<complex<f32>, @all> -> complex<f32>
  func.return %0 : complex<f32>
}

// -----

optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.reduce': !optim.tree<f32, @all, rows>: leaf "w" has no axis extent "rows"
func.func @missing_axis_extent(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @all, rows> {
  %0 = optim.reduce <add> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @all, rows>
  func.return %0 : !optim.tree<f32, @all, rows>
}
