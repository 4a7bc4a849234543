// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

optim.leaves @all = ["w" : [3, 4], "v" : [4, 3], "heads" : [4, 2, 3]]
optim.leaves @batches = ["batch/0" : [2, 3, 4], "batch/1" : [2, 3, 4]]

// GENERIC: "optim.stack"(%g) <{places = #optim.places<[0, 1] in 0, [1, 0] in 0, [1, 2, 0] in 1>}>
// CHECK-LABEL: func.func @there_and_back
// CHECK-NEXT:    %0 = optim.stack <[0, 1] in 0, [1, 0] in 0, [1, 2, 0] in 1> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>
// CHECK-NEXT:    %1 = optim.unstack <[0, 1] in 0, [1, 0] in 0, [1, 2, 0] in 1> %0 : !optim.tree<f32, @batches> -> !optim.tree<f32, @all>
func.func @there_and_back(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @all> {
  %0 = optim.stack <[0, 1] in 0, [1, 0] in 0, [1, 2, 0] in 1> %g : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>
  %1 = optim.unstack <[0, 1] in 0, [1, 0] in 0, [1, 2, 0] in 1> %0 : !optim.tree<f32, @batches> -> !optim.tree<f32, @all>
  func.return %1 : !optim.tree<f32, @all>
}
