// XFAIL: *
// A yield is accepted as the end of a function: the op lacks a HasParent trait.
// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.yield': {{.*}}optim.map
func.func @ends_a_function(%s: f32) -> f32 {
  optim.yield %s : f32
}
