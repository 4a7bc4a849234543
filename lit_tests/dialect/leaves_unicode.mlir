// A path that is not ASCII is printed as it is: escapes of its bytes would not be parsed back.
// RUN: optcc opt %s | optcc opt - | filecheck %s

// CHECK: optim.leaves @all = ["{{.+}}" : [3]]
optim.leaves @all = ["é" : [3]]
