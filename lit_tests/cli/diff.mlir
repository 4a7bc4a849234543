// What fuse-reductions does to clip + adamw: the norm is summed in the map that squares; nothing else is shown.
// RUN: not optcc compile "chain(clip_by_global_norm(1.0), adamw(3e-4))" --params mlp --diff fuse-maps#1 fuse-reductions | filecheck %s

// CHECK:      --- fuse-maps#1
// CHECK-NEXT: +++ fuse-reductions
// CHECK-NEXT: @@ -{{.*}} @@
// CHECK:      {{^-}}    [[SUM:%.*]] = optim.map over @all ([[X:%.*]] = %updates : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT: {{^\+}}    [[SUM]] = optim.map over @all ([[X]] = %updates : !optim.tree<f32, @all>) -> (f32 by <add>) {
// CHECK-NEXT: {{^ }}      [[SQUARE:%.*]] = arith.mulf [[X]], [[X]] : f32
// CHECK-NEXT: {{^ }}      optim.yield [[SQUARE]] : f32
// CHECK-NEXT: {{^ }}    }
// CHECK-NEXT: {{^-}}    [[NORM:%.*]] = optim.reduce <add> [[SUM]] : !optim.tree<f32, @all> -> f32
// CHECK-NEXT: {{^ }}    %max_norm = optim.hyper
// CHECK-NEXT: {{^-}}    [[ROOT:%.*]] = math.sqrt [[NORM]] : f32
// CHECK-NEXT: {{^\+}}    [[ROOT]] = math.sqrt [[SUM]] : f32
// CHECK-NOT:  {{^[-+]}}
