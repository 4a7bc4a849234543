// A function works on one device's parts of arrays that are split over a mesh.
// RUN: optcc opt %s -p 'shard{mesh="data:4","model:2" arrays="w:256x128:data,model","v:64x64:,model"}' | filecheck %s

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
!W = !optim.tree<f32, @one>

// CHECK: optim.leaves @all = ["w" : [64, 64] split [0 by "data" = 4, 1 by "model" = 2], "b" : [128], "v" : [64, 32] split [1 by "model" = 2]]
optim.leaves @all = ["w" : [256, 128], "b" : [128], "v" : [64, 64]]
// CHECK-NEXT: optim.leaves @one = ["w" : [64, 64] split [0 by "data" = 4, 1 by "model" = 2]]
optim.leaves @one = ["w" : [256, 128]]
// CHECK-NEXT: optim.leaves @small = ["b" : [128]]
optim.leaves @small = ["b" : [128]]

// A fold over leaves that are split alike is combined as it is.
// CHECK-LABEL: func.func @one_leaf
// CHECK:         %n_1 = optim.all_reduce %n : f32 by <add> of @one elements
// CHECK-NEXT:    %0 = math.sqrt %n_1 : f32
func.func @one_leaf(%g: !W) -> f32 {
  %n = optim.map over @one (%x = %g : !W) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %0 = math.sqrt %n : f32
  func.return %0 : f32
}

// One over leaves that are split over different axes is made of one of each leaf; all folds of a sweep go together.
// CHECK-LABEL: func.func @different_axes
// CHECK-NEXT:    %n, %m = optim.sweep ins(%x = %g : !optim.tree<f32, @all>) outs() -> (!optim.tree<f32, @all, per_leaf>, !optim.tree<f32, @all, per_leaf>) {
// CHECK-NEXT:      %0, %1 = optim.map over @all (%y = %x : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all, per_leaf> by <add>, !optim.tree<f32, @all, per_leaf> by <max>) {
// CHECK:         %n_1, %m_1 = optim.all_reduce %n : !optim.tree<f32, @all, per_leaf> by <add> of @all elements, %m : !optim.tree<f32, @all, per_leaf> by <max> of @all elements
// CHECK-NEXT:    %0 = optim.reduce <add> %n_1 : !optim.tree<f32, @all, per_leaf> -> f32
// CHECK-NEXT:    func.return %0, %m_1 : f32, !optim.tree<f32, @all, per_leaf>
func.func @different_axes(%g: !T) -> (f32, !P) {
  %n, %m = optim.sweep ins(%x = %g : !T) outs() -> (f32, !P) {
    %0, %1 = optim.map over @all (%y = %x : !T) -> (f32 by <add>, !P by <max>) {
      optim.yield %y, %y : f32, f32
    }
    optim.yield %0, %1 : f32, !P
  }
  func.return %n, %m : f32, !P
}

// What no device has parts of needs no collective, and a fold of what was combined neither.
// CHECK-LABEL: func.func @nothing_to_combine
// CHECK-NOT:     optim.all_reduce
// CHECK:         func.return
func.func @nothing_to_combine(%g: !optim.tree<f32, @small>, %p: !P) -> (f32, f32) {
  %0 = optim.reduce <add> %g : !optim.tree<f32, @small> -> f32
  %1 = optim.reduce <add> %p : !P -> f32
  func.return %0, %1 : f32, f32
}
