// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!T = !optim.tree<f32, @all>

optim.leaves @all = ["w" : [3, 4]]

// GENERIC-LABEL: sym_name = "schedule"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.call"(%count) <{callee = "1.schedule"}> : (i32) -> f32
// CHECK-LABEL: func.func @schedule
// CHECK-NEXT:    %0 = optim.call "1.schedule"(%count) : (i32) -> f32
func.func @schedule(%count: i32) -> f32 {
  %0 = optim.call "1.schedule"(%count) : (i32) -> f32
  func.return %0 : f32
}

// CHECK-LABEL: func.func @trees
// CHECK-NEXT:    %0, %1 = optim.call "0.update"(%g, %s) : (!optim.tree<f32, @all>, f32) -> (!optim.tree<f32, @all>, !optim.tree<i32, @all, per_leaf>)
func.func @trees(%g: !T, %s: f32) {
  %0, %1 = optim.call "0.update"(%g, %s) : (!T, f32) -> (!T, !optim.tree<i32, @all, per_leaf>)
  func.return
}

// CHECK-LABEL: func.func @nothing_in_or_out
// CHECK-NEXT:    %0 = optim.call "seed"() : () -> i32
// CHECK-NEXT:    optim.call "log"(%0) : (i32) -> ()
func.func @nothing_in_or_out() {
  %0 = optim.call "seed"() : () -> i32
  optim.call "log"(%0) : (i32) -> ()
  func.return
}

// CHECK-LABEL: func.func @odd_name
// CHECK-NEXT:    %0 = optim.call "a \22quoted\22\0Aname"() : () -> f32
func.func @odd_name() -> f32 {
  %0 = optim.call "a \22quoted\22\0Aname"() : () -> f32
  func.return %0 : f32
}

// GENERIC-LABEL: sym_name = "keys"
// GENERIC:         "optim.call"(%g, %k) <{callee = "0.update"}> : (!optim.tree<f32, @all>, !optim.key<"threefry2x32">) -> (!optim.tree<f32, @all>, !optim.key<"threefry2x32">)
// CHECK-LABEL: func.func @keys
// CHECK-NEXT:    %0, %1 = optim.call "0.update"(%g, %k) : (!optim.tree<f32, @all>, !optim.key<"threefry2x32">) -> (!optim.tree<f32, @all>, !optim.key<"threefry2x32">)
func.func @keys(%g: !T, %k: !optim.key<"threefry2x32">) -> (!T, !optim.key<"threefry2x32">) {
  %0, %1 = optim.call "0.update"(%g, %k) : (!T, !optim.key<"threefry2x32">) -> (!T, !optim.key<"threefry2x32">)
  func.return %0, %1 : !T, !optim.key<"threefry2x32">
}
