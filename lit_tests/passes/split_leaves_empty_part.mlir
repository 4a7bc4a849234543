// A part without leaves is split off some other part.
// RUN: optcc opt %s -p split-leaves | filecheck %s

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @none = []

// CHECK-LABEL: func.func @everything_and_nothing
// CHECK:         func.return %{{.*}}, %{{.*}} : !optim.tree<f32, @all>, !optim.tree<f32, @none>
func.func @everything_and_nothing(%g: !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, !optim.tree<f32, @none>) {
  %0, %1 = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @all>, !optim.tree<f32, @none>
  func.return %0, %1 : !optim.tree<f32, @all>, !optim.tree<f32, @none>
}
