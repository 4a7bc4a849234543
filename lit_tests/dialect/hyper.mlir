// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

// GENERIC-LABEL: sym_name = "with_default"
// GENERIC-NEXT:    "optim.hyper"() <{key = "1.learning_rate", default = 3.000000e-04 : f64}> : () -> f64
// CHECK-LABEL: func.func @with_default
// CHECK-NEXT:    %0 = optim.hyper "1.learning_rate" = 3.000000e-04 : f64
func.func @with_default() -> f64 {
  %0 = optim.hyper "1.learning_rate" = 3.0e-4 : f64
  func.return %0 : f64
}

// GENERIC-LABEL: sym_name = "without_default"
// GENERIC-NEXT:    "optim.hyper"() <{key = "scale"}> : () -> f32
// CHECK-LABEL: func.func @without_default
// CHECK-NEXT:    %0 = optim.hyper "scale" : f32
func.func @without_default() -> f32 {
  %0 = optim.hyper "scale" : f32
  func.return %0 : f32
}

// A default is rounded to its type, once, and printed so that it is read back as it was.
// CHECK-LABEL: func.func @defaults
// CHECK-NEXT:    %0 = optim.hyper "a.b_1" = -2.500000e+00 : f32
// CHECK-NEXT:    %1 = optim.hyper "f64" = 1.000000e-01 : f64
// CHECK-NEXT:    %2 = optim.hyper "f64" = 0.33333333333333331 : f64
// CHECK-NEXT:    %3 = optim.hyper "f32" = 1.000000e-30 : f32
// CHECK-NEXT:    %4 = optim.hyper "f32" = 0.333333343 : f32
// CHECK-NEXT:    %5 = optim.hyper "bf16" = 1.000980e-01 : bf16
// CHECK-NEXT:    %6 = optim.hyper "zero" = -0.000000e+00 : f32
func.func @defaults() {
  %0 = optim.hyper "a.b_1" = -2.5 : f32
  %1 = optim.hyper "f64" = 0.1 : f64
  %2 = optim.hyper "f64" = 0.3333333333333333 : f64
  %3 = optim.hyper "f32" = 1.0e-30 : f32
  %4 = optim.hyper "f32" = 0.3333333333333333 : f32
  %5 = optim.hyper "bf16" = 0.1 : bf16
  %6 = optim.hyper "zero" = -0.0 : f32
  func.return
}
