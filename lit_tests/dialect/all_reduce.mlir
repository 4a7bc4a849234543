// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>
!P = !optim.tree<f32, @all, per_leaf>
!R = !optim.tree<f32, @all, rows>

// GENERIC: table = #optim.leaf_table["w" : [3, 4] {rows = [0]} split [0 by "data" = 8, 1 by "model" = 2], "b" : [4] {rows = []} split [0 by "data" = 8]]
// CHECK: optim.leaves @all = ["w" : [3, 4] {rows = [0]} split [0 by "data" = 8, 1 by "model" = 2], "b" : [4] {rows = []} split [0 by "data" = 8]]
optim.leaves @all = ["w" : [3, 4] {rows = [0]} split [0 by "data" = 8, 1 by "model" = 2], "b" : [4] {rows = []} split [0 by "data" = 8]]
// CHECK-NEXT: optim.leaves @one = ["b" : [4] split [0 by "data" = 8]]
optim.leaves @one = ["b" : [4] split [0 by "data" = 8]]

// CHECK-LABEL: func.func @folds
// CHECK-NEXT:    %a, %b = optim.all_reduce %n : !optim.tree<f32, @all, per_leaf> by <add> of @all elements, %r : !optim.tree<f32, @all, rows> by <max> of @all elements
// CHECK-NEXT:    %c = optim.all_reduce %s : f32 by <min> of @one elements
// CHECK-NEXT:    %d = optim.all_reduce %n : !optim.tree<f32, @all, per_leaf> by <add> of @all rows
func.func @folds(%n: !P, %r: !R, %s: f32) -> (!P, !R, f32, !P) {
  %a, %b = optim.all_reduce %n : !P by <add> of @all elements, %r : !R by <max> of @all elements
  %c = optim.all_reduce %s : f32 by <min> of @one elements
  %d = optim.all_reduce %n : !P by <add> of @all rows
  func.return %a, %b, %c, %d : !P, !R, f32, !P
}
