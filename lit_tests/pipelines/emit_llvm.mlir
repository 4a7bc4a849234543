// RUN: optcc compile "adamw(1e-3)" --params '{"w": [3, 4]}' --emit llvm | filecheck %s
// RUN: optcc compile "adamw(1e-3)" --params '{"w": [3, 4]}' --emit asm | filecheck %s --check-prefix=ASM

// One sweep, one kernel: `kernel` takes the tables of pointers apart, `chunk` has the loop and four arrays that do not
// overlap.
// CHECK:     define {{.*}}void @chunk(i64 {{.*}}, ptr {{.*}}noalias{{.*}}, ptr {{.*}}noalias{{.*}}, ptr {{.*}}noalias{{.*}}, ptr {{.*}}noalias
// CHECK:       call <{{[0-9]+}} x float> @llvm.sqrt
// CHECK:     define void @kernel(i64 {{.*}}, i64 {{.*}}, ptr {{.*}}, ptr {{.*}}, ptr {{.*}}, ptr
// CHECK:       ret void
// CHECK-NOT: define

// ASM: chunk:
// ASM: sqrt
// ASM: kernel:
