// A yield ends the body of a map or a sweep, nothing else.
// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.yield': {{.*}}optim.map
func.func @ends_a_function(%s: f32) -> f32 {
  optim.yield %s : f32
}
