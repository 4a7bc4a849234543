// Every stage is printed to standard error, the result to standard output.
// RUN: optcc opt %s -p fuse-maps,cse,dce --print-ir-after-all 2> %t | filecheck %s --check-prefix=RESULT
// RUN: filecheck %s --input-file %t

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4]]

// CHECK:       IR after fuse-maps
// CHECK-NEXT:  builtin.module {
// CHECK:         arith.mulf
// CHECK:         arith.mulf
// CHECK:         math.exp
// CHECK:       IR after cse
// CHECK-NEXT:  builtin.module {
// CHECK:         arith.mulf
// CHECK-NOT:     arith.mulf
// CHECK:       IR after dce
// CHECK-NEXT:  builtin.module {
// CHECK-NOT:   IR after

// RESULT-NOT:  IR after
// RESULT:      builtin.module {
// RESULT:        arith.mulf
// RESULT-NEXT:   arith.addf
// RESULT-NEXT:   optim.yield
// RESULT-NOT:  builtin.module
func.func @f(%g: !T) -> !T {
  %a = optim.map over @all (%x = %g : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    optim.yield %0 : f32
  }
  %b = optim.map over @all (%x = %g : !T, %y = %a : !T) -> (!T) {
    %0 = arith.mulf %x, %x : f32
    %1 = arith.addf %0, %y : f32
    %2 = math.exp %1 : f32
    optim.yield %1 : f32
  }
  func.return %b : !T
}
