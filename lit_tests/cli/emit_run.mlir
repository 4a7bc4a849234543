// One of several runs of a pass.
// RUN: optcc compile "sgd(0.1)" --params mlp --emit canonicalize#1 | filecheck %s --check-prefix=FIRST
// RUN: optcc compile "sgd(0.1)" --params mlp --emit canonicalize | filecheck %s --check-prefix=LAST
// RUN: not optcc compile "sgd(0.1)" --params mlp --emit canonicalize#4 2>&1 | filecheck %s --check-prefix=BEYOND
// RUN: not optcc compile "sgd(0.1)" --params mlp --emit canonicalize#x 2>&1 | filecheck %s --check-prefix=NUMBER

// FIRST-COUNT-2: optim.map
// FIRST-NOT:     optim.map

// LAST:     optim.map
// LAST-NOT: optim.map

// BEYOND:      error: the pass 'canonicalize' has no run '4'
// BEYOND-NEXT:   where: --emit
// BEYOND-NEXT:   fix:   write canonicalize#N with N from 1 to 3, or canonicalize for the last one

// NUMBER: error: the pass 'canonicalize' has no run 'x'
