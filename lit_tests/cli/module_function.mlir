// A transformation of the user's own, in the current directory.
// RUN: cd %S/Inputs && optcc report "mytx:scaled_sign(1e-3)" --params mlp | filecheck %s
// RUN: cd %S/Inputs && optcc report "chain(clip(1.0), mytx:scaled_sign(step=1e-3))" --params mlp | filecheck %s
// RUN: cd %S/Inputs && not optcc report "chain(mytx:scaled_sing(1))" --params mlp 2>&1 | filecheck %s --check-prefix=NAME
// RUN: cd %S/Inputs && not optcc report "mytx:scaled_sign(stp=1)" --params mlp 2>&1 | filecheck %s --check-prefix=ARGUMENT
// RUN: not optcc report "nomodule:scaled_sign(1)" --params mlp 2>&1 | filecheck %s --check-prefix=MODULE

// CHECK: sweeps: 1
// CHECK: bytes/parameter: 12.0, floor 12.0

// NAME:      error: there is no attribute 'scaled_sing'
// NAME-NEXT:   where: column 7
// NAME-NEXT:          chain(mytx:scaled_sing(1))
// NAME-NEXT:                ^^^^^^^^^^^^^^^^
// NAME-NEXT:   fix:   did you mean 'scaled_sign'?

// ARGUMENT:      error: mytx:scaled_sign has no argument 'stp'
// ARGUMENT-NEXT:   where: column 18

// MODULE: error: there is no module 'nomodule'
