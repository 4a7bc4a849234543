// A second run leaves the function for the host alone.
// RUN: optcc opt %s -p lift-hyperparameters,lift-hyperparameters | filecheck %s

// CHECK-COUNT-1: _hyperparameters()
// CHECK-NOT: _hyperparameters
func.func @update() -> f64 {
  %lr = optim.hyper "lr" = 0.1 : f64
  func.return %lr : f64
}
