// RUN: optcc opt %s | optcc opt - --print-generic -o %t
// RUN: filecheck %s --check-prefix=GENERIC --input-file %t
// RUN: optcc opt %t | filecheck %s
// The text is parsed, printed, parsed, printed in generic form, parsed and printed again.

!K = !optim.key<"threefry2x32">

// GENERIC-LABEL: sym_name = "parts"
// GENERIC-NEXT:  ^bb0
// GENERIC-NEXT:    "optim.split_key"(%key) <{part = 0 : i64, total = 2 : i64}> : (!optim.key<"threefry2x32">) -> !optim.key<"threefry2x32">
// CHECK-LABEL: func.func @parts
// CHECK-NEXT:    %0 = optim.split_key %key [0] of 2 : !optim.key<"threefry2x32">
// CHECK-NEXT:    %1 = optim.split_key %key [1] of 2 : !optim.key<"threefry2x32">
func.func @parts(%key: !K) -> (!K, !K) {
  %0 = optim.split_key %key [0] of 2 : !K
  %1 = optim.split_key %key [1] of 2 : !K
  func.return %0, %1 : !K, !K
}
