// RUN: not optcc opt %s -p fuse-map 2>&1 | filecheck %s --check-prefix=NEAR
// RUN: not optcc opt %s -p cse,blorp 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: not optcc opt %s -p "fuse-maps{" 2>&1 | filecheck %s --check-prefix=MALFORMED
// RUN: not optcc opt %s -p "rematerialize{fctor=1.0}" 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not optcc opt %s -p "rematerialize{factor=much}" 2>&1 | filecheck %s --check-prefix=VALUE

// An unknown pass, with the nearest name.
// NEAR:      error: unknown pass 'fuse-map'
// NEAR-NEXT:   where: pipeline 'fuse-map'
// NEAR-NEXT:   fix: did you mean 'fuse-maps'?

// One that is near to nothing.
// UNKNOWN:      error: unknown pass 'blorp'
// UNKNOWN-NEXT:   where: pipeline 'cse,blorp'
// UNKNOWN-NEXT:   fix: see `optcc list passes`

// MALFORMED: error: malformed pipeline:
// MALFORMED: where: pipeline 'fuse-maps{'

// OPTION:      error: malformed pipeline: {{.*}}fctor{{.*}}factor
// OPTION-NEXT:   where: pipeline 'rematerialize{fctor=1.0}'

// VALUE:      error: malformed pipeline: {{.*}}much{{.*}}float
// VALUE-NEXT:   where: pipeline 'rematerialize{factor=much}'
func.func @f() {
  func.return
}
