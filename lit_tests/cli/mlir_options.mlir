// Who writes what MLIR's and xDSL's tools take is told what to write here.
// RUN: not optcc opt %s -p "builtin.module(fuse-maps,func.func(cse))" 2>&1 | filecheck %s --check-prefix=NESTED
// RUN: not optcc opt %s --pass-pipeline="builtin.module(cse)" 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not optcc compile "sgd(0.1)" --params mlp --pass-pipeline cse 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not optcc opt %s --canonicalize 2>&1 | filecheck %s --check-prefix=PASS
// RUN: not optcc opt %s --canonicalise 2>&1 | filecheck %s --check-prefix=OTHER

// NESTED:      error: a pipeline is not nested: every pass works on the whole module
// NESTED-NEXT:   where: pipeline 'builtin.module(fuse-maps,func.func(cse))'
// NESTED-NEXT:   fix:   write 'fuse-maps,cse'

// OPTION: Error: No such option: --pass-pipeline; write -p with the passes alone, as in -p fuse-maps,cse.
// PASS:   Error: No such option: --canonicalize; write -p canonicalize.
// OTHER:  Error: No such option
func.func @f() {
  func.return
}
