// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

// Floats are printed so that they are read back as they were: with six digits if that is exact, else with as many as
// are needed, and infinities and NaN by their bits.

// CHECK-LABEL: func.func @f32
// CHECK-NEXT:    arith.constant 1.000000e-01 : f32
// CHECK-NEXT:    arith.constant 1.000000e-30 : f32
// CHECK-NEXT:    arith.constant 3.000000e-04 : f32
// CHECK-NEXT:    arith.constant -0.000000e+00 : f32
// CHECK-NEXT:    arith.constant 0.333333343 : f32
// CHECK-NEXT:    arith.constant 3.40282347e+38 : f32
// CHECK-NEXT:    arith.constant 1.401300e-45 : f32
// CHECK-NEXT:    arith.constant 0x4CEB79A3 : f32
// CHECK-NEXT:    arith.constant 0x7f800000 : f32
// CHECK-NEXT:    arith.constant 0xff800000 : f32
// CHECK-NEXT:    arith.constant 0x7fc00000 : f32
func.func @f32() {
  %0 = arith.constant 0.1 : f32
  %1 = arith.constant 1.0e-30 : f32
  %2 = arith.constant 3.0e-4 : f32
  %3 = arith.constant -0.0 : f32
  %4 = arith.constant 0.3333333333333333 : f32
  %5 = arith.constant 3.4028234663852886e+38 : f32
  %6 = arith.constant 1.4e-45 : f32
  %7 = arith.constant 123456789.0 : f32
  %8 = arith.constant 0x7F800000 : f32
  %9 = arith.constant 0xFF800000 : f32
  %10 = arith.constant 0x7FC00000 : f32
  func.return
}

// CHECK-LABEL: func.func @f64
// CHECK-NEXT:    arith.constant 1.000000e-01 : f64
// CHECK-NEXT:    arith.constant 1.000000e-30 : f64
// CHECK-NEXT:    arith.constant 3.000000e-04 : f64
// CHECK-NEXT:    arith.constant -0.000000e+00 : f64
// CHECK-NEXT:    arith.constant 0.33333333333333331 : f64
// CHECK-NEXT:    arith.constant 0x4345EE2A2EB5A5C4 : f64
// CHECK-NEXT:    arith.constant 0x7ff0000000000000 : f64
// CHECK-NEXT:    arith.constant 0x7ff8000000000000 : f64
func.func @f64() {
  %0 = arith.constant 0.1 : f64
  %1 = arith.constant 1.0e-30 : f64
  %2 = arith.constant 3.0e-4 : f64
  %3 = arith.constant -0.0 : f64
  %4 = arith.constant 0.3333333333333333 : f64
  %5 = arith.constant 12345678901234567.0 : f64
  %6 = arith.constant 0x7FF0000000000000 : f64
  %7 = arith.constant 0x7FF8000000000000 : f64
  func.return
}

// Each is the bf16 nearest to the number.
// CHECK-LABEL: func.func @bf16
// CHECK-NEXT:    arith.constant 1.000980e-01 : bf16
// CHECK-NEXT:    arith.constant 9.984020e-31 : bf16
// CHECK-NEXT:    arith.constant 2.994540e-04 : bf16
// CHECK-NEXT:    arith.constant -0.000000e+00 : bf16
// CHECK-NEXT:    arith.constant 3.389530e+38 : bf16
// CHECK-NEXT:    arith.constant 0x7f80 : bf16
// CHECK-NEXT:    arith.constant 0x7fc0 : bf16
func.func @bf16() {
  %0 = arith.constant 0.1 : bf16
  %1 = arith.constant 1.0e-30 : bf16
  %2 = arith.constant 3.0e-4 : bf16
  %3 = arith.constant -0.0 : bf16
  %4 = arith.constant 3.3895313892515355e+38 : bf16
  %5 = arith.constant 0x7F80 : bf16
  %6 = arith.constant 0x7FC0 : bf16
  func.return
}
