// Infinities, NaN and large whole numbers are printed by their bits, and parsed back.
// RUN: optcc opt %s | optcc opt - | filecheck %s

// CHECK:      %0 = optim.hyper "infinite" = 0x7ff0000000000000 : f64
// CHECK-NEXT: %1 = optim.hyper "nan" = 0x7fc00000 : f32
// CHECK-NEXT: %2 = optim.hyper "whole" = 0x4CEB79A3 : f32
func.func @defaults() {
  %0 = "optim.hyper"() <{key = "infinite", default = 0x7FF0000000000000 : f64}> : () -> f64
  %1 = "optim.hyper"() <{key = "nan", default = 0x7FC00000 : f32}> : () -> f32
  %2 = optim.hyper "whole" = 123456789.0 : f32
  func.return
}
