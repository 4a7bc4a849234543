// RUN: optcc compile "cautious_lion(0.01)" --params '{"w": [3, 4]}' --emit sweeps | filecheck %s
// RUN: optcc compile "chain(clip(1.0), cautious_lion(0.01))" --params '{"w": [3, 4]}' --emit sweeps | filecheck %s

// The mask is inside the one map of the one sweep.
// CHECK-LABEL: func.func @update(
// CHECK:         optim.sweep
// CHECK:         optim.map over @all
// CHECK:         arith.select
// CHECK-NOT:     optim.sweep
// CHECK:         func.return
