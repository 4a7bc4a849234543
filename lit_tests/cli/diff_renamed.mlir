// Two files that differ in the names of values are equal; one that differs in one op shows that op.
// RUN: sed "s/%a/%z/g; s/%x/%0/g" %s > %t.renamed
// RUN: optcc opt --diff %s %t.renamed | not grep .
// RUN: sed "s/%a/%z/g; s/subf %z, %x/subf %x, %z/" %s > %t.changed
// RUN: not optcc opt --diff %s %t.changed | filecheck %s
// RUN: not optcc opt --diff %s %t.changed -o %t.out
// RUN: filecheck %s --input-file %t.out
// RUN: not optcc opt --diff %s 2>&1 | filecheck %s --check-prefix=ONE

// CHECK:      @@
// CHECK:      {{^}}     %a = arith.mulf %x, %x : f32
// CHECK-NEXT: {{^-}}    %b = arith.subf %a, %x : f32
// CHECK-NEXT: {{^\+}}    %b = arith.subf %x, %a : f32
// CHECK-NEXT: {{^}}     func.return %b : f32
// CHECK-NOT:  {{^[-+]}}

// ONE: Error: Option '--diff' requires 2 arguments.
func.func @f(%x: f32) -> f32 {
  %a = arith.mulf %x, %x : f32
  %b = arith.subf %a, %x : f32
  func.return %b : f32
}
