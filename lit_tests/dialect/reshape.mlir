// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!M = !optim.tree<f32, @all>
!R = !optim.tree<f32, @all, rows>
!V = !optim.tree<f32, @v_row>

optim.leaves @all = ["w" : [3, 4] {rows = [0]}, "u" : [2, 5] {rows = [0]}]
optim.leaves @v_row = ["w" : [3], "u" : [2]]
optim.leaves @flat = ["" : [22]]
optim.leaves @none = []
optim.leaves @empty = ["e" : [0, 3]]

// GENERIC-LABEL: sym_name = "to_an_axis_extent"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.reshape"(%v) : (!optim.tree<f32, @v_row>) -> !optim.tree<f32, @all, rows>
// CHECK-LABEL: func.func @to_an_axis_extent
// CHECK-NEXT:    %0 = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @all, rows>
func.func @to_an_axis_extent(%v: !V) -> !R {
  %0 = optim.reshape %v : !V -> !R
  func.return %0 : !R
}

// Only the number of values counts, not that of leaves.
// CHECK-LABEL: func.func @to_one_array
// CHECK-NEXT:    %0 = optim.reshape %g : !optim.tree<f32, @all> -> !optim.tree<f32, @flat>
func.func @to_one_array(%g: !M) -> !optim.tree<f32, @flat> {
  %0 = optim.reshape %g : !M -> !optim.tree<f32, @flat>
  func.return %0 : !optim.tree<f32, @flat>
}

// CHECK-LABEL: func.func @of_nothing
// CHECK-NEXT:    %0 = optim.reshape %g : !optim.tree<i32, @none> -> !optim.tree<i32, @empty>
func.func @of_nothing(%g: !optim.tree<i32, @none>) -> !optim.tree<i32, @empty> {
  %0 = optim.reshape %g : !optim.tree<i32, @none> -> !optim.tree<i32, @empty>
  func.return %0 : !optim.tree<i32, @empty>
}
