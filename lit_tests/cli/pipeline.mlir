// The passes of the step: a list, in which a named pipeline stands for its passes, on `compile` and on `report`.
// RUN: optcc compile "sgd(0.1)" --params mlp -p apply-updates,lift-hyperparameters | filecheck %s --check-prefix=NO-SWEEPS
// RUN: optcc compile "sgd(0.1)" --params mlp --pipeline step,cse --emit cse#3 --print-ir-after=cse#3 2>%t | filecheck %s --check-prefix=SWEEPS
// RUN: filecheck %s --input-file %t --check-prefix=AFTER
// RUN: optcc report "sgd(0.1)" --params mlp -p "cse,step" | filecheck %s --check-prefix=REPORT
// RUN: not optcc compile "sgd(0.1)" --params mlp -p fuse-maps 2>&1 | filecheck %s --check-prefix=MISSING
// RUN: not optcc report "sgd(0.1)" --params mlp -p step,fuse-map 2>&1 | filecheck %s --check-prefix=UNKNOWN
// RUN: not optcc compile "sgd(0.1)" --params mlp -p step --emit dce 2>&1 | filecheck %s --check-prefix=UNUSED

// NO-SWEEPS:     %params_1 = optim.map
// NO-SWEEPS-NOT: optim.sweep

// SWEEPS: optim.sweep ins({{.*}}) outs(%params_{{[0-9]+}} = %params : 
// AFTER:  IR after cse#3 //

// REPORT: sweeps: 1

// MISSING:      error: the pipeline has no 'apply-updates', without which there is no step
// MISSING-NEXT:   where: pipeline
// MISSING-NEXT:   fix:   put your passes around a named pipeline: my-pass,step

// UNKNOWN:      error: unknown pass 'fuse-map'
// UNKNOWN-NEXT:   where: pipeline 'fuse-map'
// UNKNOWN-NEXT:   fix:   did you mean 'fuse-maps'?

// UNUSED:      error: the pass 'dce' is not part of compilation
// UNUSED-NEXT:   where: --emit
// UNUSED-NEXT:   fix:   one of {{.*}}, or add it to --pipeline
