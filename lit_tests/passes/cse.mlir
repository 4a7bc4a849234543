// RUN: optcc opt %s -p cse | filecheck %s

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// CHECK-LABEL: func.func @shares_equal_maps(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %s = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %u : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @shares_equal_maps(%g: !T) -> (!T, !T) {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %s = arith.mulf %x, %x : f32
    optim.yield %s : f32
  }
  %v = optim.map over @all (%y = %g : !T) -> (!T) {
    %t = arith.mulf %y, %y : f32
    optim.yield %t : f32
  }
  func.return %u, %v : !T, !T
}

// CHECK-LABEL: func.func @keeps_bodies_that_differ(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:      %s = arith.mulf %x, %c : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %v = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %c = arith.constant 2.000000e+00 : f32
// CHECK-NEXT:      %s = arith.mulf %x, %c : f32
// CHECK-NEXT:      optim.yield %s : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %v : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_bodies_that_differ(%g: !T) -> (!T, !T) {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %c = arith.constant 1.0 : f32
    %s = arith.mulf %x, %c : f32
    optim.yield %s : f32
  }
  %v = optim.map over @all (%x = %g : !T) -> (!T) {
    %c = arith.constant 2.0 : f32
    %s = arith.mulf %x, %c : f32
    optim.yield %s : f32
  }
  func.return %u, %v : !T, !T
}

// CHECK-LABEL: func.func @keeps_combiners_that_differ(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %v = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <max>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u, %v : f32, f32
// CHECK-NEXT:  }
func.func @keeps_combiners_that_differ(%g: !T) -> (f32, f32) {
  %u = optim.map over @all (%x = %g : !T) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  %v = optim.map over @all (%x = %g : !T) -> (f32 by <max>) {
    optim.yield %x : f32
  }
  func.return %u, %v : f32, f32
}

// CHECK-LABEL: func.func @shares_inside_a_body(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %a = arith.mulf %x, %x : f32
// CHECK-NEXT:      %c = arith.addf %a, %a : f32
// CHECK-NEXT:      optim.yield %c : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @shares_inside_a_body(%g: !T) -> !T {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %a = arith.mulf %x, %x : f32
    %b = arith.mulf %x, %x : f32
    %c = arith.addf %a, %b : f32
    optim.yield %c : f32
  }
  func.return %u : !T
}

// CHECK-LABEL: func.func @shares_hyperparameters_of_one_name(
// CHECK-NEXT:    %a = optim.hyper "0.b1" = 9.000000e-01 : f64
// CHECK-NEXT:    %c = optim.hyper "1.b1" = 9.000000e-01 : f64
// CHECK-NEXT:    func.return %a, %a, %c : f64, f64, f64
// CHECK-NEXT:  }
func.func @shares_hyperparameters_of_one_name() -> (f64, f64, f64) {
  %a = optim.hyper "0.b1" = 0.9 : f64
  %b = optim.hyper "0.b1" = 0.9 : f64
  %c = optim.hyper "1.b1" = 0.9 : f64
  func.return %a, %b, %c : f64, f64, f64
}

// A call is pure, so one is enough.
// CHECK-LABEL: func.func @shares_calls_of_one_callee(
// CHECK-NEXT:    %a = optim.call "schedule"(%count) : (i32) -> f32
// CHECK-NEXT:    %c = optim.call "other"(%count) : (i32) -> f32
// CHECK-NEXT:    func.return %a, %a, %c : f32, f32, f32
// CHECK-NEXT:  }
func.func @shares_calls_of_one_callee(%count: i32) -> (f32, f32, f32) {
  %a = optim.call "schedule"(%count) : (i32) -> f32
  %b = optim.call "schedule"(%count) : (i32) -> f32
  %c = optim.call "other"(%count) : (i32) -> f32
  func.return %a, %b, %c : f32, f32, f32
}

// CHECK-LABEL: func.func @shares_splits_and_reductions(
// CHECK-NEXT:    %a, %b = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @a>, !optim.tree<f32, @b>
// CHECK-NEXT:    %s = optim.reduce <add> %g : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    %m = optim.reduce <max> %g : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    func.return %a, %b, %s, %s, %m : !optim.tree<f32, @a>, !optim.tree<f32, @b>, f32, f32, f32
// CHECK-NEXT:  }
func.func @shares_splits_and_reductions(%g: !T) -> (!A, !B, f32, f32, f32) {
  %a, %b = optim.split %g : !T -> !A, !B
  %c, %d = optim.split %g : !T -> !A, !B
  %s = optim.reduce <add> %g : !T -> f32
  %t = optim.reduce <add> %g : !T -> f32
  %m = optim.reduce <max> %g : !T -> f32
  func.return %a, %d, %s, %t, %m : !A, !B, f32, f32, f32
}
