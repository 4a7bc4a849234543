// RUN: not optcc opt %s -p cse,dce --print-ir-after=cses 2>&1 | filecheck %s --check-prefix=NEAR
// RUN: not optcc opt %s -p cse,dce --print-ir-before=dce#2 2>&1 | filecheck %s --check-prefix=RUN-NUMBER
// RUN: not optcc opt %s --print-ir-after=cse 2>&1 | filecheck %s --check-prefix=NONE

// NEAR:      error: the pipeline does not run 'cses'
// NEAR-NEXT:   where: --print-ir-after
// NEAR-NEXT:   fix:   did you mean 'cse'?

// RUN-NUMBER:      error: the pipeline does not run 'dce#2'
// RUN-NUMBER-NEXT:   where: --print-ir-before
// RUN-NUMBER-NEXT:   fix:

// NONE:      error: the pipeline does not run 'cse'
// NONE-NEXT:   where: --print-ir-after
// NONE-NEXT:   fix:   one of none
func.func @f() {
  func.return
}
