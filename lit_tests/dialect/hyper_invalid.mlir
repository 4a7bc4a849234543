// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.hyper' (C1): "" is not a hyperparameter name such as "1.learning_rate"
func.func @c1_empty() { %0 = optim.hyper "" = 1.0 : f64  func.return }

// -----

// CHECK: error: 'optim.hyper' (C1): "1..rate" is not a hyperparameter name
func.func @c1_empty_word() { %0 = optim.hyper "1..rate" = 1.0 : f64  func.return }

// -----

// CHECK: error: 'optim.hyper' (C1): "learning rate" is not a hyperparameter name
func.func @c1_space() { %0 = optim.hyper "learning rate" = 1.0 : f64  func.return }

// -----

// CHECK: error: 'optim.hyper' (C2): a hyperparameter is a float, got i32
func.func @c2_integer() { %0 = optim.hyper "steps" : i32  func.return }

// -----

// CHECK: error: 'optim.hyper' (C2): a hyperparameter is a float, got i32
func.func @c2_integer_generic() { %0 = "optim.hyper"() <{key = "steps"}> : () -> i32  func.return }

// -----

// CHECK: error: 'optim.hyper' (C2): the default is f64, but the result is f32
func.func @c2_default() { %0 = "optim.hyper"() <{key = "rate", default = 1.0 : f64}> : () -> f32  func.return }

// -----

// CHECK: error: C2: the default of a hyperparameter is a float, got "fast"
func.func @c2_text() { %0 = optim.hyper "rate" = "fast"  func.return }
