"""Kernels in LLVM IR, as they are handed to the runtime."""

from __future__ import annotations

# p -= lr * w * g, in place; u = lr * w * g; folds: sum of g * g, sum of g * g, max of |g|.
# Arrays: p, g, u. Values: lr (a scalar), w (per leaf).
AXPY = """
declare double @llvm.maximum.f64(double, double)
declare double @llvm.fabs.f64(double)

define void @kernel(i64 %begin, i64 %end, ptr %dims, ptr %arrays, ptr %values, ptr %partials) {
entry:
  %p = load ptr, ptr %arrays
  %g.at = getelementptr ptr, ptr %arrays, i64 1
  %g = load ptr, ptr %g.at
  %u.at = getelementptr ptr, ptr %arrays, i64 2
  %u = load ptr, ptr %u.at
  %lr.at = load ptr, ptr %values
  %lr = load float, ptr %lr.at
  %values.1 = getelementptr ptr, ptr %values, i64 1
  %w.at = load ptr, ptr %values.1
  %w = load float, ptr %w.at
  %rate = fmul float %lr, %w
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%next, %loop]
  %sum = phi double [0.0, %entry], [%sum.next, %loop]
  %max = phi double [0xFFF0000000000000, %entry], [%max.next, %loop]
  %pi.at = getelementptr float, ptr %p, i64 %i
  %gi.at = getelementptr float, ptr %g, i64 %i
  %ui.at = getelementptr float, ptr %u, i64 %i
  %pi = load float, ptr %pi.at
  %gi = load float, ptr %gi.at
  %ui = fmul float %rate, %gi
  %new = fsub float %pi, %ui
  store float %new, ptr %pi.at
  store float %ui, ptr %ui.at
  %wide = fpext float %gi to double
  %square = fmul double %wide, %wide
  %sum.next = fadd double %sum, %square
  %magnitude = call double @llvm.fabs.f64(double %wide)
  %max.next = call double @llvm.maximum.f64(double %max, double %magnitude)
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  %out.0 = load ptr, ptr %partials
  %partials.1 = getelementptr ptr, ptr %partials, i64 1
  %out.1 = load ptr, ptr %partials.1
  %partials.2 = getelementptr ptr, ptr %partials, i64 2
  %out.2 = load ptr, ptr %partials.2
  store double %sum.next, ptr %out.0
  store double %sum.next, ptr %out.1
  store double %max.next, ptr %out.2
  ret void
}
"""

# Rank 2. x *= r, in place, where r keeps dimension 0; folds: sum of x over dimension 0, max of x over dimension 1.
# Arrays: x, r. No values.
AXES = """
declare double @llvm.maximum.f64(double, double)

define void @kernel(i64 %begin, i64 %end, ptr %dims, ptr %arrays, ptr %values, ptr %partials) {
entry:
  %x = load ptr, ptr %arrays
  %r.at = getelementptr ptr, ptr %arrays, i64 1
  %r = load ptr, ptr %r.at
  %sums = load ptr, ptr %partials
  %partials.1 = getelementptr ptr, ptr %partials, i64 1
  %maxima = load ptr, ptr %partials.1
  %dims.1 = getelementptr i64, ptr %dims, i64 1
  %columns = load i64, ptr %dims.1
  br label %rows
rows:
  %i = phi i64 [%begin, %entry], [%i.next, %row.done]
  %ri.at = getelementptr float, ptr %r, i64 %i
  %ri = load float, ptr %ri.at
  %maximum.at = getelementptr double, ptr %maxima, i64 %i
  %base = mul i64 %i, %columns
  br label %row
row:
  %j = phi i64 [0, %rows], [%j.next, %row]
  %k = add i64 %base, %j
  %x.at = getelementptr float, ptr %x, i64 %k
  %old = load float, ptr %x.at
  %wide = fpext float %old to double
  %sum.at = getelementptr double, ptr %sums, i64 %j
  %sum = load double, ptr %sum.at
  %sum.next = fadd double %sum, %wide
  store double %sum.next, ptr %sum.at
  %maximum = load double, ptr %maximum.at
  %maximum.next = call double @llvm.maximum.f64(double %maximum, double %wide)
  store double %maximum.next, ptr %maximum.at
  %new = fmul float %old, %ri
  store float %new, ptr %x.at
  %j.next = add i64 %j, 1
  %more = icmp slt i64 %j.next, %columns
  br i1 %more, label %row, label %row.done
row.done:
  %i.next = add i64 %i, 1
  %more.rows = icmp slt i64 %i.next, %end
  br i1 %more.rows, label %rows, label %done
done:
  ret void
}
"""

# The sum of x. Arrays: x. No values.
SUM = """
define void @kernel(i64 %begin, i64 %end, ptr %dims, ptr %arrays, ptr %values, ptr %partials) {
entry:
  %x = load ptr, ptr %arrays
  %out = load ptr, ptr %partials
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%next, %loop]
  %sum = phi double [0.0, %entry], [%sum.next, %loop]
  %x.at = getelementptr float, ptr %x, i64 %i
  %xi = load float, ptr %x.at
  %wide = fpext float %xi to double
  %sum.next = fadd double %sum, %wide
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  store double %sum.next, ptr %out
  ret void
}
"""

# x += y, in place. Arrays: x, y. No values, no folds.
ADD = """
define void @kernel(i64 %begin, i64 %end, ptr %dims, ptr %arrays, ptr %values, ptr %partials) {
entry:
  %x = load ptr, ptr %arrays
  %y.at = getelementptr ptr, ptr %arrays, i64 1
  %y = load ptr, ptr %y.at
  br label %loop
loop:
  %i = phi i64 [%begin, %entry], [%next, %loop]
  %x.at = getelementptr float, ptr %x, i64 %i
  %y.i = getelementptr float, ptr %y, i64 %i
  %xi = load float, ptr %x.at
  %yi = load float, ptr %y.i
  %new = fadd float %xi, %yi
  store float %new, ptr %x.at
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}
"""

# A fold along nothing: adds x to its partial results, which are as many. Arrays: x. No values.
_FOLD_NOTHING = """
define void @kernel(i64 %begin, i64 %end, ptr %dims, ptr %arrays, ptr %values, ptr %partials) {{
entry:
  %x = load ptr, ptr %arrays
  %out = load ptr, ptr %partials
  %row.at = getelementptr i64, ptr %dims, i64 1
  %row = {row}
  %first = mul i64 %begin, %row
  %last = mul i64 %end, %row
  br label %loop
loop:
  %i = phi i64 [%first, %entry], [%next, %loop]
  %x.at = getelementptr float, ptr %x, i64 %i
  %xi = load float, ptr %x.at
  %wide = fpext float %xi to double
  %out.at = getelementptr double, ptr %out, i64 %i
  %old = load double, ptr %out.at
  %new = fadd double %old, %wide
  store double %new, ptr %out.at
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %last
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""
FOLD_NOTHING = {1: _FOLD_NOTHING.format(row="add i64 0, 1"), 2: _FOLD_NOTHING.format(row="load i64, ptr %row.at")}
