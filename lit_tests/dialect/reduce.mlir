// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>

optim.leaves @all = ["w" : [3, 4], "b" : [4]]

// GENERIC-LABEL: sym_name = "over_the_set"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.reduce"(%g) <{combiner = #optim.combiner<add>}> : (!optim.tree<f32, @all>) -> f32
// CHECK-LABEL: func.func @over_the_set
// CHECK-NEXT:    %0 = optim.reduce <add> %g : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    %1 = optim.reduce <max> %g : !optim.tree<f32, @all> -> f32
// CHECK-NEXT:    %2 = optim.reduce <min> %g : !optim.tree<f32, @all> -> f32
func.func @over_the_set(%g: !T) -> (f32, f32, f32) {
  %0 = optim.reduce <add> %g : !T -> f32
  %1 = optim.reduce <max> %g : !T -> f32
  %2 = optim.reduce <min> %g : !T -> f32
  func.return %0, %1, %2 : f32, f32, f32
}

// CHECK-LABEL: func.func @over_each_leaf
// CHECK-NEXT:    %0 = optim.reduce <add> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @all, per_leaf>
func.func @over_each_leaf(%g: !T) -> !P {
  %0 = optim.reduce <add> %g : !T -> !P
  func.return %0 : !P
}

// CHECK-LABEL: func.func @over_per_leaf_values
// CHECK-NEXT:    %0 = optim.reduce <max> %s : !optim.tree<bf16, @all, per_leaf> -> bf16
func.func @over_per_leaf_values(%s: !optim.tree<bf16, @all, per_leaf>) -> bf16 {
  %0 = optim.reduce <max> %s : !optim.tree<bf16, @all, per_leaf> -> bf16
  func.return %0 : bf16
}

!R = !optim.tree<f32, @matrices, rows>
!HR = !optim.tree<f32, @matrices, rows.heads>
!M = !optim.tree<f32, @matrices>

optim.leaves @matrices = ["w" : [3, 4] {rows = [0], columns = [1], rows.heads = []}]

// GENERIC-LABEL: sym_name = "over_axes"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.reduce"(%g) <{combiner = #optim.combiner<add>}> : (!optim.tree<f32, @matrices>) -> !optim.tree<f32, @matrices, rows>
// CHECK-LABEL: func.func @over_axes
// CHECK-NEXT:    %0 = optim.reduce <add> %g : !optim.tree<f32, @matrices> -> !optim.tree<f32, @matrices, rows>
// CHECK-NEXT:    %1 = optim.reduce <max> %0 : !optim.tree<f32, @matrices, rows> -> !optim.tree<f32, @matrices, rows.heads>
// CHECK-NEXT:    %2 = optim.reduce <add> %1 : !optim.tree<f32, @matrices, rows.heads> -> !optim.tree<f32, @matrices, per_leaf>
// CHECK-NEXT:    %3 = optim.reduce <add> %0 : !optim.tree<f32, @matrices, rows> -> f32
func.func @over_axes(%g: !M) -> (!optim.tree<f32, @matrices, per_leaf>, f32) {
  %0 = optim.reduce <add> %g : !M -> !R
  %1 = optim.reduce <max> %0 : !R -> !HR
  %2 = optim.reduce <add> %1 : !HR -> !optim.tree<f32, @matrices, per_leaf>
  %3 = optim.reduce <add> %0 : !R -> f32
  func.return %2, %3 : !optim.tree<f32, @matrices, per_leaf>, f32
}
