// RUN: optcc opt %s -p canonicalize | filecheck %s

// CHECK: arith.constant 0x7f800000 : f32
func.func @product() -> f32 {
  %big = arith.constant 1.0e+38 : f32
  %0 = arith.mulf %big, %big : f32
  func.return %0 : f32
}
