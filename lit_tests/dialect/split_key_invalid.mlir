// RUN: optcc opt %s --split-input-file | filecheck %s

// CHECK: error: 'optim.split_key' (C1): a key that is split into 2 has no part [2]
func.func @c1(%key: !optim.key<"rbg">) -> !optim.key<"rbg"> {
  %0 = optim.split_key %key [2] of 2 : !optim.key<"rbg">
  func.return %0 : !optim.key<"rbg">
}

// -----

// CHECK: error: 'optim.split_key' (C1): a key that is split into 2 has no part [-1]
func.func @c1_negative(%key: !optim.key<"rbg">) -> !optim.key<"rbg"> {
  %0 = "optim.split_key"(%key) <{part = -1 : i64, total = 2 : i64}> : (!optim.key<"rbg">) -> !optim.key<"rbg">
  func.return %0 : !optim.key<"rbg">
}

// -----

// CHECK: error: C1: one part of a key is taken
func.func @c1_several(%key: !optim.key<"rbg">) -> !optim.key<"rbg"> {
  %0 = optim.split_key %key [0, 1] of 2 : !optim.key<"rbg">
  func.return %0 : !optim.key<"rbg">
}

// -----

// CHECK: error: 'optim.split_key' (C2): !optim.key<"rbg"> is split into !optim.key<"threefry2x32">
func.func @c2(%key: !optim.key<"rbg">) -> !optim.key<"threefry2x32"> {
  %0 = "optim.split_key"(%key) <{part = 0 : i64, total = 2 : i64}> : (!optim.key<"rbg">) -> !optim.key<"threefry2x32">
  func.return %0 : !optim.key<"threefry2x32">
}

// -----

// CHECK: error: 'optim.split_key': operand 'key' at position 0 does not verify: i32 should be of base attribute optim.key
func.func @no_key(%s: i32) -> i32 {
  %0 = optim.split_key %s [0] of 2 : i32
  func.return %0 : i32
}
