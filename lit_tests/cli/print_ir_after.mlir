// IR after a pass, after one run of it, before a pass, and after the passes that changed it, on standard error.
// RUN: optcc opt %s -p cse,dce,cse --print-ir-after=cse 2>&1 >/dev/null | filecheck %s --check-prefix=BOTH
// RUN: optcc opt %s -p cse,dce,cse --print-ir-after=cse#2 2>&1 >/dev/null | filecheck %s --check-prefix=SECOND
// RUN: optcc opt %s -p cse,dce,cse --print-ir-before=dce --print-ir-before=cse#1 2>&1 >/dev/null | filecheck %s --check-prefix=BEFORE
// RUN: optcc opt %s -p dce,cse,dce,cse --print-ir-after-change 2>&1 >/dev/null | filecheck %s --check-prefix=CHANGE
// RUN: optcc opt %s -p cse --print-ir-after=cse#1 2>&1 >/dev/null | filecheck %s --check-prefix=ONLY

// BOTH:      IR after cse#1 //
// BOTH:        arith.mulf
// BOTH-NOT:    arith.mulf
// BOTH:      IR after cse#2 //
// BOTH-NOT:  IR after

// SECOND-NOT: IR after cse#1
// SECOND:     IR after cse#2 //
// SECOND-NOT: IR after

// BEFORE:      IR before cse#1 //
// BEFORE:        arith.mulf
// BEFORE-NEXT:   arith.mulf
// BEFORE:      IR before dce //
// BEFORE:        arith.mulf
// BEFORE-NEXT:   arith.addf
// BEFORE-NOT:  IR before

// The dead op goes with the first pass, the second product with the second; after that nothing changes.
// CHANGE:      IR after dce#1 //
// CHANGE:      IR after cse#1 //
// CHANGE-NOT:  IR after

// ONLY: IR after cse //
func.func @f(%x: f32) -> f32 {
  %a = arith.mulf %x, %x : f32
  %b = arith.mulf %x, %x : f32
  %c = arith.addf %a, %b : f32
  %dead = arith.subf %c, %x : f32
  func.return %c : f32
}
