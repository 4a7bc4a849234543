// shard refuses what cannot work on one device's parts, and an axis that cannot be cut into equal parts.
// RUN: not optcc opt %s -p 'shard{mesh="data:4" arrays="w:8x6:data,"}' 2>&1 | filecheck %s --check-prefix RESHAPE
// RUN: not optcc opt %s -p 'shard{mesh="data:4" arrays="r:8x4:data,"}' 2>&1 | filecheck %s --check-prefix RANDOM
// RUN: not optcc opt %s -p 'shard{mesh="data:4" arrays="v:10:data"}' 2>&1 | filecheck %s --check-prefix UNEVEN

optim.leaves @all = ["w" : [8, 6]]
optim.leaves @flat = ["f" : [48]]
optim.leaves @drawn = ["r" : [8, 4]]
optim.leaves @uneven = ["v" : [10]]

// RESHAPE: 'optim.reshape' cannot work on one device's parts: it gives the elements of split arrays another shape
func.func @flattened(%g: !optim.tree<f32, @all>) -> !optim.tree<f32, @flat> {
  %0 = optim.reshape %g : !optim.tree<f32, @all> -> !optim.tree<f32, @flat>
  func.return %0 : !optim.tree<f32, @flat>
}

// RANDOM: 'optim.random' cannot work on one device's parts: it needs whole arrays
func.func @random(%key: !optim.key<"threefry2x32">) -> !optim.tree<f32, @drawn> {
  %0 = optim.random <normal> %key [0] of 1 : !optim.key<"threefry2x32"> -> !optim.tree<f32, @drawn>
  func.return %0 : !optim.tree<f32, @drawn>
}

// UNEVEN: axis 0 of [10] cannot be cut into 4 equal parts
// UNEVEN-NEXT: where: leaf 'v'
