// RUN: optcc opt %s -p dce | filecheck %s

!T = !optim.tree<f32, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<f32, @b>

// A leaf set is a symbol: it stays, used or not.
// CHECK:      optim.leaves @all
// CHECK-NEXT: optim.leaves @a
// CHECK-NEXT: optim.leaves @b
// CHECK-NEXT: optim.leaves @unused
optim.leaves @all = ["w" : [3, 4], "b" : [4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]
optim.leaves @unused = []

// CHECK-LABEL: func.func @drops_what_is_not_used(
// CHECK-NEXT:    func.return
// CHECK-NEXT:  }
func.func @drops_what_is_not_used(%g: !T, %x: !A, %y: !B, %count: i32) {
  %u = optim.map over @all (%e = %g : !T) -> (!T) {
    optim.yield %e : f32
  }
  %s = optim.reduce <add> %u : !T -> f32
  %a, %b = optim.split %g : !T -> !A, !B
  %w = optim.join %x, %y : !A, !B -> !T
  %lr = optim.hyper "lr" = 0.1 : f64
  %c = optim.call "schedule"(%count) : (i32) -> f32
  %v = optim.sweep ins() outs(%o = %g : !T) -> (!T) {
    %0 = optim.map over @all (%e = %o : !T) -> (!T) {
      optim.yield %e : f32
    }
    optim.yield %0 : !T
  }
  func.return
}

// CHECK-LABEL: func.func @keeps_a_map_with_one_result_used(
// CHECK-NEXT:    %u, %s = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>, f32 by <add>) {
// CHECK-NEXT:      optim.yield %x, %x : f32, f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %s : f32
// CHECK-NEXT:  }
func.func @keeps_a_map_with_one_result_used(%g: !T) -> f32 {
  %u, %s = optim.map over @all (%x = %g : !T) -> (!T, f32 by <add>) {
    optim.yield %x, %x : f32, f32
  }
  func.return %s : f32
}

// CHECK-LABEL: func.func @drops_ops_of_a_body(
// CHECK-NEXT:    %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %a = arith.mulf %x, %x : f32
// CHECK-NEXT:      optim.yield %a : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %u : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @drops_ops_of_a_body(%g: !T) -> !T {
  %u = optim.map over @all (%x = %g : !T) -> (!T) {
    %a = arith.mulf %x, %x : f32
    %b = math.sqrt %a : f32
    optim.yield %a : f32
  }
  func.return %u : !T
}
