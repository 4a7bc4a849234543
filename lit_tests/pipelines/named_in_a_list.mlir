// XFAIL: *
// A named pipeline followed by a pass is refused with "unknown pass 'step' ... did you mean 'step'?".
// RUN: optcc opt %s -p step,cse 2>&1 | filecheck %s

// CHECK: func.func @f()
func.func @f() {
  func.return
}
