// RUN: optcc opt %s --split-input-file | filecheck %s

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.map': {{.*}}expects at least a terminator
func.func @missing(%g: !T) -> f32 {
  %0 = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// CHECK: error: 'optim.yield': 'optim.yield' must be the last operation in its parent block
func.func @in_the_middle(%g: !T) -> f32 {
  %0 = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
    %1 = arith.addf %x, %x : f32
    optim.yield %1 : f32
  }
  func.return %0 : f32
}

// -----

!T = !optim.tree<f32, @all>
optim.leaves @all = ["w" : [3, 4]]

// Only a yield ends a body.
// CHECK: error: 'func.return': 'func.return' expects parent op 'func.func'
func.func @another_terminator(%g: !T) -> f32 {
  %0 = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    func.return %x : f32
  }
  func.return %0 : f32
}
