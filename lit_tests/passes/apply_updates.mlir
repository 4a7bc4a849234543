// RUN: optcc opt %s -p apply-updates | filecheck %s

!T = !optim.tree<f32, @all>
!H = !optim.tree<bf16, @all>
!D = !optim.tree<f64, @all>
!A = !optim.tree<f32, @a>
!B = !optim.tree<bf16, @b>

optim.leaves @all = ["w" : [3, 4]]
optim.leaves @a = ["w" : [3, 4]]
optim.leaves @b = ["b" : [4]]

// The slot of the result becomes that of the parameters; other results stay.
// CHECK-LABEL: func.func @adds_updates_to_params(%g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates>}, %mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "mu"]>}, %p: !optim.tree<f32, @all> {optim.slot = #optim.slot<params>}) -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<params>}, !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "mu"]>})
// CHECK-NEXT:    %params = optim.map over @all (%u = %g : !optim.tree<f32, @all>, %p_1 = %p : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %0 = arith.addf %p_1, %u : f32
// CHECK-NEXT:      optim.yield %0 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params, %mu : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @adds_updates_to_params(%g: !T {optim.slot = #optim.slot<updates>}, %mu: !T {optim.slot = #optim.slot<state ["0", "mu"]>}, %p: !T {optim.slot = #optim.slot<params>})
    -> (!T {optim.slot = #optim.slot<updates>}, !T {optim.slot = #optim.slot<state ["0", "mu"]>}) {
  func.return %g, %mu : !T, !T
}

// Narrow elements are added in f32 and rounded once.
// CHECK-LABEL: func.func @widens_bf16(%g: !optim.tree<bf16, @all> {optim.slot = #optim.slot<updates>}, %p: !optim.tree<bf16, @all> {optim.slot = #optim.slot<params>}) -> (!optim.tree<bf16, @all> {optim.slot = #optim.slot<params>})
// CHECK-NEXT:    %params = optim.map over @all (%u = %g : !optim.tree<bf16, @all>, %p_1 = %p : !optim.tree<bf16, @all>) -> (!optim.tree<bf16, @all>) {
// CHECK-NEXT:      %0 = arith.extf %p_1 : bf16 to f32
// CHECK-NEXT:      %1 = arith.extf %u : bf16 to f32
// CHECK-NEXT:      %2 = arith.addf %0, %1 : f32
// CHECK-NEXT:      %3 = arith.truncf %2 : f32 to bf16
// CHECK-NEXT:      optim.yield %3 : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params : !optim.tree<bf16, @all>
// CHECK-NEXT:  }
func.func @widens_bf16(%g: !H {optim.slot = #optim.slot<updates>}, %p: !H {optim.slot = #optim.slot<params>}) -> (!H {optim.slot = #optim.slot<updates>}) {
  func.return %g : !H
}

// CHECK-LABEL: func.func @keeps_dtype_of_params(%g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates>}, %p: !optim.tree<bf16, @all> {optim.slot = #optim.slot<params>}) -> (!optim.tree<bf16, @all> {optim.slot = #optim.slot<params>})
// CHECK-NEXT:    %params = optim.map over @all (%u = %g : !optim.tree<f32, @all>, %p_1 = %p : !optim.tree<bf16, @all>) -> (!optim.tree<bf16, @all>) {
// CHECK-NEXT:      %0 = arith.extf %p_1 : bf16 to f32
// CHECK-NEXT:      %1 = arith.addf %0, %u : f32
// CHECK-NEXT:      %2 = arith.truncf %1 : f32 to bf16
// CHECK-NEXT:      optim.yield %2 : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params : !optim.tree<bf16, @all>
// CHECK-NEXT:  }
func.func @keeps_dtype_of_params(%g: !T {optim.slot = #optim.slot<updates>}, %p: !H {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<updates>}) {
  func.return %g : !T
}

// CHECK-LABEL: func.func @adds_f64_in_f64(%g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates>}, %p: !optim.tree<f64, @all> {optim.slot = #optim.slot<params>}) -> (!optim.tree<f64, @all> {optim.slot = #optim.slot<params>})
// CHECK-NEXT:    %params = optim.map over @all (%u = %g : !optim.tree<f32, @all>, %p_1 = %p : !optim.tree<f64, @all>) -> (!optim.tree<f64, @all>) {
// CHECK-NEXT:      %0 = arith.extf %u : f32 to f64
// CHECK-NEXT:      %1 = arith.addf %p_1, %0 : f64
// CHECK-NEXT:      optim.yield %1 : f64
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params : !optim.tree<f64, @all>
// CHECK-NEXT:  }
func.func @adds_f64_in_f64(%g: !T {optim.slot = #optim.slot<updates>}, %p: !D {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<updates>}) {
  func.return %g : !T
}

// Leaves of several dtypes: each group of updates meets its group of parameters.
// CHECK-LABEL: func.func @each_group_on_its_own(%g: !optim.tree<f32, @a> {optim.slot = #optim.slot<updates>}, %h: !optim.tree<bf16, @b> {optim.slot = #optim.slot<updates>}, %p: !optim.tree<f32, @a> {optim.slot = #optim.slot<params>}, %q: !optim.tree<bf16, @b> {optim.slot = #optim.slot<params>}) -> (!optim.tree<f32, @a> {optim.slot = #optim.slot<params>}, !optim.tree<bf16, @b> {optim.slot = #optim.slot<params>})
// CHECK-NEXT:    %params = optim.map over @a (%u = %g : !optim.tree<f32, @a>, %p_1 = %p : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
// CHECK-NEXT:      %0 = arith.addf %p_1, %u : f32
// CHECK-NEXT:      optim.yield %0 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %params_1 = optim.map over @b (%u = %h : !optim.tree<bf16, @b>, %p_1 = %q : !optim.tree<bf16, @b>) -> (!optim.tree<bf16, @b>) {
// CHECK-NEXT:      %0 = arith.extf %p_1 : bf16 to f32
// CHECK-NEXT:      %1 = arith.extf %u : bf16 to f32
// CHECK-NEXT:      %2 = arith.addf %0, %1 : f32
// CHECK-NEXT:      %3 = arith.truncf %2 : f32 to bf16
// CHECK-NEXT:      optim.yield %3 : bf16
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params, %params_1 : !optim.tree<f32, @a>, !optim.tree<bf16, @b>
// CHECK-NEXT:  }
func.func @each_group_on_its_own(%g: !A {optim.slot = #optim.slot<updates>}, %h: !B {optim.slot = #optim.slot<updates>},
                                 %p: !A {optim.slot = #optim.slot<params>}, %q: !B {optim.slot = #optim.slot<params>})
    -> (!A {optim.slot = #optim.slot<updates>}, !B {optim.slot = #optim.slot<updates>}) {
  func.return %g, %h : !A, !B
}

// Refusal: without the parameters of its group a result is left alone.
// CHECK-LABEL: func.func @keeps_group_without_params(%g: !optim.tree<f32, @a> {optim.slot = #optim.slot<updates>}, %q: !optim.tree<bf16, @b> {optim.slot = #optim.slot<params>}) -> (!optim.tree<f32, @a> {optim.slot = #optim.slot<updates>})
// CHECK-NEXT:    func.return %g : !optim.tree<f32, @a>
// CHECK-NEXT:  }
func.func @keeps_group_without_params(%g: !A {optim.slot = #optim.slot<updates>}, %q: !B {optim.slot = #optim.slot<params>})
    -> (!A {optim.slot = #optim.slot<updates>}) {
  func.return %g : !A
}

// Refusal: a function without parameters is left alone.
// CHECK-LABEL: func.func @keeps_updates_without_params(%g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates>}) -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<updates>})
// CHECK-NEXT:    func.return %g : !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_updates_without_params(%g: !T {optim.slot = #optim.slot<updates>}) -> (!T {optim.slot = #optim.slot<updates>}) {
  func.return %g : !T
}

// Refusal: only the slot `updates` is meant.
// CHECK-LABEL: func.func @keeps_other_slots(%mu: !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"]>}, %p: !optim.tree<f32, @all> {optim.slot = #optim.slot<params>}) -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<state ["mu"]>}, !optim.tree<f32, @all>, !optim.tree<f32, @all> {optim.slot = #optim.slot<state ["0", "updates"]>})
// CHECK-NEXT:    func.return %mu, %mu, %mu : !optim.tree<f32, @all>, !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @keeps_other_slots(%mu: !T {optim.slot = #optim.slot<state ["mu"]>}, %p: !T {optim.slot = #optim.slot<params>}) -> (!T {optim.slot = #optim.slot<state ["mu"]>}, !T, !T {optim.slot = #optim.slot<state ["0", "updates"]>}) {
  func.return %mu, %mu, %mu : !T, !T, !T
}

!Z = !optim.tree<complex<f32>, @all>

// CHECK-LABEL: func.func @adds_complex_numbers(
// CHECK-NEXT:    %params = optim.map over @all (%u = %g : !optim.tree<complex<f32>, @all>, %p_1 = %p : !optim.tree<complex<f32>, @all>) -> (!optim.tree<complex<f32>, @all>) {
// CHECK-NEXT:      %0 = complex.add %p_1, %u : complex<f32>
// CHECK-NEXT:      optim.yield %0 : complex<f32>
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params : !optim.tree<complex<f32>, @all>
// CHECK-NEXT:  }
func.func @adds_complex_numbers(%g: !Z {optim.slot = #optim.slot<updates>}, %p: !Z {optim.slot = #optim.slot<params>}) -> (!Z {optim.slot = #optim.slot<updates>}) {
  func.return %g : !Z
}

// Parts of the parameters: updates of each meet their own.
// CHECK-LABEL: func.func @parts_of_the_params(%g: !optim.tree<f32, @all> {optim.slot = #optim.slot<updates>}, %s: !optim.tree<f32, @all> {optim.slot = #optim.slot<params ["slow"]>}, %f: !optim.tree<f32, @all> {optim.slot = #optim.slot<params ["fast"]>}) -> (!optim.tree<f32, @all> {optim.slot = #optim.slot<params ["fast"]>}, !optim.tree<f32, @all> {optim.slot = #optim.slot<params ["slow"]>})
// CHECK-NEXT:    %params = optim.map over @all (%u = %g : !optim.tree<f32, @all>, %p = %f : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %0 = arith.addf %p, %u : f32
// CHECK-NEXT:      optim.yield %0 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    %params_1 = optim.map over @all (%u = %g : !optim.tree<f32, @all>, %p = %s : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
// CHECK-NEXT:      %0 = arith.addf %p, %u : f32
// CHECK-NEXT:      optim.yield %0 : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    func.return %params, %params_1 : !optim.tree<f32, @all>, !optim.tree<f32, @all>
// CHECK-NEXT:  }
func.func @parts_of_the_params(%g: !T {optim.slot = #optim.slot<updates>}, %s: !T {optim.slot = #optim.slot<params ["slow"]>}, %f: !T {optim.slot = #optim.slot<params ["fast"]>})
    -> (!T {optim.slot = #optim.slot<updates ["fast"]>}, !T {optim.slot = #optim.slot<updates ["slow"]>}) {
  func.return %g, %g : !T, !T
}
