// What form-sweeps does to clip + adamw: two sweeps around what is there, and nothing else.
// RUN: not optcc compile "chain(clip_by_global_norm(1.0), adamw(3e-4))" --params mlp --diff canonicalize form-sweeps | filecheck %s

// CHECK:      --- canonicalize
// CHECK-NEXT: +++ form-sweeps
// CHECK-NEXT: @@ -{{.*}} @@
// CHECK:      {{^\+}}    [[NORM:%.*]] = optim.sweep writes [""] {
// CHECK-NEXT: {{^ }}      [[SUM:%.*]] = optim.map over @all
// CHECK-NEXT: {{^ }}        {{%.*}} = arith.mulf
// CHECK-NEXT: {{^ }}        optim.yield
// CHECK-NEXT: {{^ }}      }
// CHECK-NEXT: {{^-}}    [[ROOT:%.*]] = math.sqrt [[SUM]] : f32
// CHECK-NEXT: {{^\+}}      optim.yield [[SUM]] : f32
// CHECK-NEXT: {{^\+}}    } -> f32
// CHECK-NEXT: {{^\+}}    [[ROOT]] = math.sqrt [[NORM]] : f32
// CHECK-NOT:  {{^[-+].*(arith|math)[.]}}
// CHECK:      {{^\+}}    {{.*}} = optim.sweep writes ["1.0.mu", "1.0.nu", "params"] {
// CHECK-NOT:  {{^[-+].*(arith|math)[.]}}
// CHECK:      {{^-}}    func.return
// CHECK-NEXT: {{^\+}}      optim.yield
// CHECK-NEXT: {{^\+}}    } ->
// CHECK-NEXT: {{^\+}}    func.return
// CHECK-NOT:  {{^[-+].*(arith|math)[.]}}
