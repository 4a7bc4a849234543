// XFAIL: *
// A path that is not ASCII is printed with escapes (`\C3\A9`), which xDSL's `parse_str_literal` does not take.
// RUN: optcc opt %s | optcc opt - | filecheck %s

// CHECK: optim.leaves @all = ["{{.+}}" : [3]]
optim.leaves @all = ["é" : [3]]
