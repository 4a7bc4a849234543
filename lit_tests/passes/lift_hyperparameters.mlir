// RUN: optcc opt %s -p lift-hyperparameters | filecheck %s

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// CHECK-LABEL: func.func @moves_arithmetic_to_the_host_hyperparameters() -> f32
// CHECK-NEXT:    %one = arith.constant 1.000000e+00 : f64
// CHECK-NEXT:    %b2 = optim.hyper "0.b2" = 9.990000e-01 : f64
// CHECK-NEXT:    %d = arith.subf %one, %b2 : f64
// CHECK-NEXT:    %rest = arith.truncf %d : f64 to f32
// CHECK-NEXT:    func.return %rest : f32
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @moves_arithmetic_to_the_host(%nu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "nu"]>}, %rest: f32 {optim.slot = #optim.slot<hyper at [0]>}) -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "nu"]>})
// CHECK-NEXT:    %one = arith.constant 1.000000e+00 : f64
// CHECK-NEXT:    %u = optim.map over @all (%x = %nu : !optim.tree<f32, @all>, %r = %rest : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %y = arith.mulf %x, %r : f32
// CHECK-NEXT:      optim.yield %y : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @moves_arithmetic_to_the_host(%nu: !T {optim.slot = #optim.slot<state ["0", "nu"]>}) -> (!T {optim.slot = #optim.slot<state ["0", "nu"]>}) {
  %one = arith.constant 1.0 : f64
  %b2 = optim.hyper "0.b2" = 0.999 : f64
  %d = arith.subf %one, %b2 : f64
  %rest = arith.truncf %d : f64 to f32
  %u = optim.map over @all (%x = %nu : !T, %r = %rest : f32) -> (!T) {
    %y = arith.mulf %x, %r : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}

// A value that the step uses in two ways is one argument; slots that are there stay, and one without a slot, too.
// CHECK-LABEL: func.func @appends_arguments_hyperparameters() -> (f32, f32)
// CHECK-NEXT:    %b1 = optim.hyper "b1" = 9.000000e-01 : f32
// CHECK-NEXT:    %sq = arith.mulf %b1, %b1 : f32
// CHECK-NEXT:    func.return %b1, %sq : f32, f32
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @appends_arguments(%count: i32 {optim.slot = #optim.slot<state ["count"]>}, %x: f32, %b1: f32 {optim.slot = #optim.slot<hyper at [0]>}, %sq: f32 {optim.slot = #optim.slot<hyper at [1]>}) -> (f32 {optim.slot = #optim.slot<state ["y"]>}, f32)
// CHECK-NEXT:    %t = arith.sitofp %count : i32 to f32
// CHECK-NEXT:    %p = math.powf %b1, %t : f32
// CHECK-NEXT:    %y = arith.mulf %sq, %x : f32
// CHECK-NEXT:    func.return %p, %y : f32, f32
// CHECK-NEXT:  }
func.func @appends_arguments(%count: i32 {optim.slot = #optim.slot<state ["count"]>}, %x: f32) -> (f32 {optim.slot = #optim.slot<state ["y"]>}, f32) {
  %b1 = optim.hyper "b1" = 0.9 : f32
  %sq = arith.mulf %b1, %b1 : f32
  %t = arith.sitofp %count : i32 to f32
  %p = math.powf %b1, %t : f32
  %y = arith.mulf %sq, %x : f32
  func.return %p, %y : f32, f32
}

// CHECK-LABEL: func.func @lifts_a_result_hyperparameters() -> f64
// CHECK-NEXT:    %lr = optim.hyper "lr" : f64
// CHECK-NEXT:    func.return %lr : f64
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @lifts_a_result(%lr: f64 {optim.slot = #optim.slot<hyper at [0]>}) -> f64
// CHECK-NEXT:    func.return %lr : f64
// CHECK-NEXT:  }
func.func @lifts_a_result() -> f64 {
  %lr = optim.hyper "lr" : f64
  func.return %lr : f64
}

// Refusal: what involves an argument, or no hyperparameter, stays.
// CHECK-LABEL: func.func @keeps_step_arithmetic_hyperparameters() -> f32
// CHECK-NEXT:    %lr = optim.hyper "lr" = 5.000000e-01 : f32
// CHECK-NEXT:    %two = arith.constant 2.000000e+00 : f32
// CHECK-NEXT:    func.return %lr : f32
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @keeps_step_arithmetic(%count: i32, %lr: f32 {optim.slot = #optim.slot<hyper at [0]>}) -> (f32, f32)
// CHECK-NEXT:    %t = arith.sitofp %count : i32 to f32
// CHECK-NEXT:    %y = arith.mulf %lr, %t : f32
// CHECK-NEXT:    %two = arith.constant 2.000000e+00 : f32
// CHECK-NEXT:    %r = math.sqrt %two : f32
// CHECK-NEXT:    func.return %y, %r : f32, f32
// CHECK-NEXT:  }
func.func @keeps_step_arithmetic(%count: i32) -> (f32, f32) {
  %lr = optim.hyper "lr" = 0.5 : f32
  %t = arith.sitofp %count : i32 to f32
  %y = arith.mulf %lr, %t : f32
  %two = arith.constant 2.0 : f32
  %r = math.sqrt %two : f32
  func.return %y, %r : f32, f32
}

// Refusal: a map is work for every element, whatever its operands are.
// CHECK-LABEL: func.func @keeps_maps_hyperparameters() -> f32
// CHECK-NEXT:    %c = optim.hyper "fill" = 1.000000e-01 : f32
// CHECK-NEXT:    func.return %c : f32
// CHECK-NEXT:  }
// CHECK-LABEL: func.func @keeps_maps(%c: f32 {optim.slot = #optim.slot<hyper at [0]>}) -> !optim.tree<f32, @all>
// CHECK-NEXT:    %u = optim.map over @all (%x = %c : f32) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      optim.yield %x : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_maps() -> !T {
  %c = optim.hyper "fill" = 0.1 : f32
  %u = optim.map over @all (%x = %c : f32) -> (!T) {
    optim.yield %x : f32
  }
  func.return %u : !T
}

// Refusal: a function without hyperparameters gets no second one.
// CHECK-LABEL: func.func @keeps_a_function_without_hyperparameters(%x: f32) -> f32
// CHECK-NEXT:    %one = arith.constant 1.000000e+00 : f32
// CHECK-NEXT:    %y = arith.addf %x, %one : f32
// CHECK-NEXT:    func.return %y : f32
// CHECK-NEXT:  }
func.func @keeps_a_function_without_hyperparameters(%x: f32) -> f32 {
  %one = arith.constant 1.0 : f32
  %y = arith.addf %x, %one : f32
  func.return %y : f32
}

// CHECK-LABEL: func.func @keeps_a_hyperparameter_that_is_not_used(%x: f32) -> f32
// CHECK-NEXT:    %lr = optim.hyper "lr" = 5.000000e-01 : f32
// CHECK-NEXT:    func.return %x : f32
// CHECK-NEXT:  }
func.func @keeps_a_hyperparameter_that_is_not_used(%x: f32) -> f32 {
  %lr = optim.hyper "lr" = 0.5 : f32
  func.return %x : f32
}

optim.leaves @scales = ["0" : [2]]

// Refusal: what is lifted are scalars. A tree of them is made where it is used.
// CHECK-LABEL: func.func @keeps_trees(
// CHECK-NEXT:    %s = optim.pack %a, %b : f64, f64 -> !optim.tree<f64, @scales>
// CHECK-NEXT:    func.return %s : !optim.tree<f64, @scales>
// CHECK-NEXT:  }
func.func @keeps_trees() -> !optim.tree<f64, @scales> {
  %a = optim.hyper "0.a" = 1.0 : f64
  %b = optim.hyper "0.b" = 2.0 : f64
  %s = optim.pack %a, %b : f64, f64 -> !optim.tree<f64, @scales>
  func.return %s : !optim.tree<f64, @scales>
}
