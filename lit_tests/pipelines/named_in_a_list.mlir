// A named pipeline may stand in a list of passes.
// RUN: optcc opt %s -p step,cse 2>&1 | filecheck %s

// CHECK: func.func @f()
func.func @f() {
  func.return
}
