// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4]]

// GENERIC-LABEL: sym_name = "ends_a_map"
// GENERIC:       "optim.yield"(%y) : (f32) -> ()
// CHECK-LABEL: func.func @ends_a_map
// CHECK:         optim.yield %y : f32
func.func @ends_a_map(%g: !T) -> !T {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %y = arith.mulf %x, %x : f32
    optim.yield %y : f32
  }
  func.return %u : !T
}

// GENERIC-LABEL: sym_name = "ends_a_sweep"
// GENERIC:       "optim.yield"() : () -> ()
// GENERIC:       "optim.yield"(%v, %s) : (!optim.tree<f32, @all>, f32) -> ()
// CHECK-LABEL: func.func @ends_a_sweep
// CHECK:         optim.yield{{$}}
// CHECK:         optim.yield %v, %s : !optim.tree<f32, @all>, f32
func.func @ends_a_sweep(%g: !T) -> (!T, f32) {
  optim.map over @all (%x = %g : !T) -> () {
    optim.yield
  }
  %u, %n = optim.sweep ins(%h = %g : !T) outs() -> (!T, f32) {
    %v, %s = optim.map over @all (%x = %h : !T) -> (!T, f32 by <add>) {
      optim.yield %x, %x : f32, f32
    }
    optim.yield %v, %s : !T, f32
  }
  func.return %u, %n : !T, f32
}
