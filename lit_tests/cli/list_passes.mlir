// Passes with their options at their defaults, functions with defaults as one may write them; no blanks at the ends.
// RUN: optcc list passes | filecheck %s --check-prefix=PASSES
// RUN: optcc list transforms | filecheck %s --check-prefix=TRANSFORMS
// RUN: optcc list | not grep -E "<function|<class| $"

// PASSES:      {{^}}passes{{$}}
// PASSES-NEXT: {{^}}name                       what it does{{$}}
// PASSES:      {{^}}cse                        Share equal pure ops. From xDSL.{{$}}
// PASSES:      {{^}}rematerialize{factor=2.0}  Let a map recompute

// TRANSFORMS: {{^}}MultiSteps(opt, {{.*}}accumulator_dtype=float32)  Accumulate
