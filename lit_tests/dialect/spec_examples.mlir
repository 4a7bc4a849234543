// Every example of SPEC.md is a valid module.
// RUN: sed -n '/^```mlir$/,/^```$/p' %dialect/SPEC.md | sed -e 's|^```mlir$|// -----|' -e '/^```$/d' > %t
// RUN: optcc opt %t --split-input-file | filecheck %s

// CHECK-NOT: error:
// CHECK: optim.leaves @all = ["wte" : [50257, 768], "h0/ln/bias" : [768], "scale" : []]
// CHECK-NOT: error:
// CHECK: func.func @skip_unless_finite
// CHECK-NOT: error:
