// RUN: optcc opt %s -p move-reshapes | filecheck %s

!V = !optim.tree<bf16, @v_row>
!W = !optim.tree<f32, @v_row>
!R = !optim.tree<f32, @all, rows>
!F = !optim.tree<f32, @flat>

optim.leaves @flat = ["flat" : [2, 2]]
optim.leaves @v_row = ["w" : [4]]
optim.leaves @all = ["w" : [4, 3] {rows = [0]}]

// CHECK-LABEL: func.func @widens_at_the_axis_extent(
// CHECK-NEXT:      %0 = optim.reshape %v : !optim.tree<bf16, @v_row> -> !optim.tree<bf16, @all, rows>
// CHECK-NEXT:      %b = optim.map over @all (%x = %0 : !optim.tree<bf16, @all, rows>) -> (!optim.tree<f32, @all, rows>) {
// CHECK-NEXT:        %1 = arith.extf %x : bf16 to f32
// CHECK-NEXT:        optim.yield %1 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      func.return %b : !optim.tree<f32, @all, rows>
// CHECK-NEXT:    }
func.func @widens_at_the_axis_extent(%v: !V) -> !R {
  %a = optim.map over @v_row (%x = %v : !V) -> (!W) {
    %0 = arith.extf %x : bf16 to f32
    optim.yield %0 : f32
  }
  %b = optim.reshape %a : !W -> !R
  func.return %b : !R
}

// CHECK-LABEL: func.func @rounds_at_the_axis_extent(
// CHECK-NEXT:      %b = optim.map over @all (%x = %r : !optim.tree<f32, @all, rows>) -> (!optim.tree<bf16, @all, rows>) {
// CHECK-NEXT:        %0 = arith.truncf %x : f32 to bf16
// CHECK-NEXT:        optim.yield %0 : bf16
// CHECK-NEXT:      }
// CHECK-NEXT:      %b_1 = optim.reshape %b : !optim.tree<bf16, @all, rows> -> !optim.tree<bf16, @v_row>
// CHECK-NEXT:      func.return %b_1 : !optim.tree<bf16, @v_row>
// CHECK-NEXT:    }
func.func @rounds_at_the_axis_extent(%r: !R) -> !V {
  %a = optim.reshape %r : !R -> !W
  %b = optim.map over @v_row (%x = %a : !W) -> (!V) {
    %0 = arith.truncf %x : f32 to bf16
    optim.yield %0 : bf16
  }
  func.return %b : !V
}

// CHECK-LABEL: func.func @leaves_a_map_that_folds(
// CHECK-NEXT:      %a = optim.reshape %r : !optim.tree<f32, @all, rows> -> !optim.tree<f32, @v_row>
// CHECK-NEXT:      %b = optim.map over @v_row (%x = %a : !optim.tree<f32, @v_row>) -> (f32 by <add>) {
// CHECK-NEXT:        optim.yield %x : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      func.return %b : f32
// CHECK-NEXT:    }
func.func @leaves_a_map_that_folds(%r: !R) -> f32 {
  %a = optim.reshape %r : !R -> !W
  %b = optim.map over @v_row (%x = %a : !W) -> (f32 by <add>) {
    optim.yield %x : f32
  }
  func.return %b : f32
}

// CHECK-LABEL: func.func @leaves_a_reshape_between_elements(
// CHECK-NEXT:      %a = optim.map over @v_row (%x = %v : !optim.tree<f32, @v_row>) -> (!optim.tree<f32, @v_row>) {
// CHECK-NEXT:        %0 = arith.negf %x : f32
// CHECK-NEXT:        optim.yield %0 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      %b = optim.reshape %a : !optim.tree<f32, @v_row> -> !optim.tree<f32, @flat>
// CHECK-NEXT:      func.return %b : !optim.tree<f32, @flat>
// CHECK-NEXT:    }
func.func @leaves_a_reshape_between_elements(%v: !W) -> !F {
  %a = optim.map over @v_row (%x = %v : !W) -> (!W) {
    %0 = arith.negf %x : f32
    optim.yield %0 : f32
  }
  %b = optim.reshape %a : !W -> !F
  func.return %b : !F
}

// CHECK-LABEL: func.func @leaves_a_map_of_other_values_too(
// CHECK-NEXT:      %a = optim.reshape %r : !optim.tree<f32, @all, rows> -> !optim.tree<f32, @v_row>
// CHECK-NEXT:      %b = optim.map over @v_row (%x = %a : !optim.tree<f32, @v_row>, %y = %v : !optim.tree<f32, @v_row>) -> (!optim.tree<f32, @v_row>) {
// CHECK-NEXT:        %0 = arith.addf %x, %y : f32
// CHECK-NEXT:        optim.yield %0 : f32
// CHECK-NEXT:      }
// CHECK-NEXT:      func.return %b : !optim.tree<f32, @v_row>
// CHECK-NEXT:    }
func.func @leaves_a_map_of_other_values_too(%r: !R, %v: !W) -> !W {
  %a = optim.reshape %r : !R -> !W
  %b = optim.map over @v_row (%x = %a : !W, %y = %v : !W) -> (!W) {
    %0 = arith.addf %x, %y : f32
    optim.yield %0 : f32
  }
  func.return %b : !W
}
