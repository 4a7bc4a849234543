// A reduction of a combined result gets a map of its own.
// RUN: optcc opt %s -p fuse-reductions | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// A norm for every leaf, and the sum of the norms.
// CHECK-LABEL: func.func @reduces_in_two_steps(
// CHECK-NEXT:    %p = optim.map over @all (%{{.*}} = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <add>) {
// CHECK:         %n = optim.map over @all (%{{.*}} = %p : !optim.tree<f32, @all, per_leaf>) -> (f32 by <add>) {
func.func @reduces_in_two_steps(%g: !T) -> (!P, f32) {
  %p = optim.reduce <add> %g : !T -> !P
  %n = optim.reduce <add> %p : !P -> f32
  func.return %p, %n : !P, f32
}
