"""Kernels written by hand, with the signature of docs/native.md, and calls of them through XLA."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import llvmlite.binding as llvm
import numpy as np
from jax.typing import ArrayLike

from optcc.runtime import native

# XLA's codes of the element types.
CODES = {"bool": 1, "int32": 4, "float16": 10, "float32": 11, "float64": 12, "bfloat16": 16}

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

_engines: list[llvm.ExecutionEngine] = []  # they own the machine code


def name_of(source: str) -> str:
    return "optcc_" + hashlib.sha256(source.encode()).hexdigest()[:32]


def compile_kernel(name: str, source: str) -> int:
    """The address of a kernel's machine code; what `native.set_compiler` takes."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(source), machine)
    engine.finalize_object()
    _engines.append(engine)
    return engine.get_function_address("kernel")


@functools.cache
def registered(source: str) -> str:
    """The name under which a kernel is registered in this process."""
    name = name_of(source)
    native.register_kernel(name, compile_kernel(name, source))
    return name


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def codes(arrays: Sequence[Any]) -> np.ndarray:
    return numbers(*(CODES[str(array.dtype)] for array in arrays))


def call(
    attributes: Mapping[str, Any], operands: Sequence[ArrayLike], results: Sequence[Any], aliases: Mapping[int, int]
) -> list[jax.Array]:
    function = jax.ffi.ffi_call(native.TARGET, list(results), input_output_aliases=dict(aliases))
    return list(function(*operands, **attributes))


Leaves = Sequence[jax.Array]


def axpy_attributes(sizes: Sequence[int], **changes: Any) -> dict[str, Any]:
    f32 = CODES["float32"]
    return {
        "kernel": name_of(AXPY),
        "source": AXPY,
        "leaves": np.int64(len(sizes)),
        "rank": np.int64(1),
        "dims": numbers(*sizes),
        "value_dtypes": numbers(f32, f32),
        "value_per_leaf": numbers(0, 1),
        "array_dtypes": numbers(f32, f32),
        "array_kept": numbers(1, 1),
        "result_dtypes": numbers(f32, f32, f32, f32, f32),
        "result_kept": numbers(1, 1, -1, -2, -2),
        "result_kind": numbers(0, 0, 1, 1, 2),
        "result_writes": numbers(0, -1, -1, -1, -1),
        **changes,
    }


def axpy(
    lr: ArrayLike, w: jax.Array, p: Leaves, g: Leaves, **changes: Any
) -> tuple[list[jax.Array], list[jax.Array], jax.Array, jax.Array, jax.Array]:
    """The kernel `AXPY` on the leaves: new p, u, sums per leaf, sum, max."""
    n = len(p)
    arrays = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in p]
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    results = [*arrays, *arrays, jax.ShapeDtypeStruct((n,), jnp.float32), scalar, scalar]
    attributes = axpy_attributes([leaf.size for leaf in p], **changes)
    out = call(attributes, [lr, w, *p, *g], results, {2 + i: i for i in range(n)})
    return out[:n], out[n : 2 * n], out[2 * n], out[2 * n + 1], out[2 * n + 2]


@dataclass(frozen=True)
class Layout:
    """Where leaves are in a packed buffer."""

    shapes: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]
    size: int

    @staticmethod
    def of(shapes: Sequence[Any], gap: int) -> Layout:
        """Leaves from the last to the first, after each as many elements of nobody."""
        shapes = [shape if isinstance(shape, tuple) else (shape,) for shape in shapes]
        offsets: list[int] = []
        end = gap
        for shape in reversed(shapes):
            offsets.append(end)
            end += math.prod(shape) + gap
        return Layout(tuple(shapes), tuple(reversed(offsets)), end)

    def pack(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """The buffer, with 7 where no leaf is."""
        buffer = np.full(self.size, 7, np.float32)
        for leaf, start in zip(leaves, self.offsets, strict=True):
            buffer[start : start + leaf.size] = leaf.reshape(-1)
        return buffer

    def unpack(self, buffer: ArrayLike) -> list[np.ndarray]:
        flat = np.asarray(buffer)
        starts = zip(self.shapes, self.offsets, strict=True)
        return [flat[start : start + math.prod(shape)].reshape(shape) for shape, start in starts]


def packed_axpy(
    lr: ArrayLike, w: jax.Array, p: Any, g: Any, layout: Layout, **changes: Any
) -> tuple[Any, list[jax.Array], jax.Array, jax.Array, jax.Array]:
    """As `axpy`; p, g or both are one buffer."""
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in layout.shapes]
    n, scalar = len(shapes), jax.ShapeDtypeStruct((), jnp.float32)
    tables = [-1 if isinstance(x, list) else 0 for x in (p, g)]
    old, gradients = ([x] if table == 0 else x for x, table in zip((p, g), tables, strict=True))
    new = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in old]
    sizes = [math.prod(shape) for shape in layout.shapes]
    packing = {"array_packed": numbers(*tables), "offsets": numbers(*(layout.offsets if 0 in tables else ()))}
    results = [*new, *shapes, jax.ShapeDtypeStruct((n,), jnp.float32), scalar, scalar]
    attributes = axpy_attributes(sizes, **packing, **changes)
    out = call(attributes, [lr, w, *old, *gradients], results, {2 + i: i for i in range(len(new))})
    p = out[0] if tables[0] == 0 else out[: len(new)]
    return p, out[len(new) : len(new) + n], out[-3], out[-2], out[-1]


def add(x: jax.Array, y: jax.Array, sizes: Sequence[int], x_offsets: Sequence[int], y_offsets: Sequence[int]) -> Any:
    """The kernel `ADD` on packed leaves: new x."""
    f32 = CODES["float32"]
    attributes = {
        "kernel": registered(ADD),
        "source": ADD,
        "leaves": np.int64(len(sizes)),
        "rank": np.int64(1),
        "dims": numbers(*sizes),
        "value_dtypes": numbers(),
        "value_per_leaf": numbers(),
        "array_dtypes": numbers(f32, f32),
        "array_kept": numbers(1, 1),
        "array_packed": numbers(0, 1),
        "offsets": numbers(*x_offsets, *y_offsets),
        "result_dtypes": numbers(f32),
        "result_kept": numbers(1),
        "result_kind": numbers(0),
        "result_writes": numbers(0),
    }
    return call(attributes, [x, y], [jax.ShapeDtypeStruct(x.shape, x.dtype)], {0: 0})[0]


def fold_nothing(x: Leaves) -> list[jax.Array]:
    """The kernel `FOLD_NOTHING` on leaves of one rank: their elements."""
    f32, rank = CODES["float32"], x[0].ndim
    source = FOLD_NOTHING[rank]
    attributes = {
        "kernel": registered(source),
        "source": source,
        "leaves": np.int64(len(x)),
        "rank": np.int64(rank),
        "dims": numbers(*(n for leaf in x for n in leaf.shape)),
        "value_dtypes": numbers(),
        "value_per_leaf": numbers(),
        "array_dtypes": numbers(f32),
        "array_kept": numbers((1 << rank) - 1),
        "result_dtypes": numbers(f32),
        "result_kept": numbers((1 << rank) - 1),
        "result_kind": numbers(1),
        "result_writes": numbers(-1),
    }
    return call(attributes, x, [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in x], {})


def axes_attributes(shapes: Sequence[tuple[int, ...]], **changes: Any) -> dict[str, Any]:
    f32 = CODES["float32"]
    return {
        "kernel": registered(AXES),
        "source": AXES,
        "leaves": np.int64(len(shapes)),
        "rank": np.int64(2),
        "dims": np.array(shapes, np.int64).reshape(-1),
        "value_dtypes": numbers(),
        "value_per_leaf": numbers(),
        "array_dtypes": numbers(f32, f32),
        "array_kept": numbers(3, 1),
        "result_dtypes": numbers(f32, f32, f32),
        "result_kept": numbers(3, 2, 1),
        "result_kind": numbers(0, 1, 2),
        "result_writes": numbers(0, -1, -1),
        **changes,
    }


def axes(x: Leaves, r: Leaves) -> tuple[list[jax.Array], list[jax.Array], list[jax.Array]]:
    """The kernel `AXES` on matrices: new x, sums of the columns, maxima of the rows."""
    n = len(x)
    results = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in x]
    results += [jax.ShapeDtypeStruct((leaf.shape[1],), leaf.dtype) for leaf in x]
    results += [jax.ShapeDtypeStruct((leaf.shape[0],), leaf.dtype) for leaf in x]
    out = call(axes_attributes([leaf.shape for leaf in x]), [*x, *r], results, {i: i for i in range(n)})
    return out[:n], out[n : 2 * n], out[2 * n :]


def packed_axes(
    x: jax.Array, r: jax.Array, matrices: Layout, rows: Layout
) -> tuple[jax.Array, list[jax.Array], list[jax.Array]]:
    """As `axes`, both arrays packed."""
    n = len(matrices.shapes)
    results = [jax.ShapeDtypeStruct(x.shape, x.dtype)]
    results += [jax.ShapeDtypeStruct((shape[1],), x.dtype) for shape in matrices.shapes]
    results += [jax.ShapeDtypeStruct((shape[0],), x.dtype) for shape in matrices.shapes]
    offsets = numbers(*matrices.offsets, *rows.offsets)
    attributes = axes_attributes(matrices.shapes, array_packed=numbers(0, 1), offsets=offsets)
    out = call(attributes, [x, r], results, {0: 0})
    return out[0], out[1 : n + 1], out[n + 1 :]


def per_leaf_sums(x: Leaves, dtype: Any, kind: int = 1) -> jax.Array:
    """The kernel `SUM` on the leaves, rounded to `dtype`; `kind` says how chunks are combined."""
    result = jax.ShapeDtypeStruct((len(x),), dtype)
    attributes = {
        "kernel": registered(SUM),
        "source": SUM,
        "leaves": np.int64(len(x)),
        "rank": np.int64(1),
        "dims": numbers(*(leaf.size for leaf in x)),
        "value_dtypes": numbers(),
        "value_per_leaf": numbers(),
        "array_dtypes": numbers(CODES["float32"]),
        "array_kept": numbers(1),
        "result_dtypes": codes([result]),
        "result_kept": numbers(-1),
        "result_kind": numbers(kind),
        "result_writes": numbers(-1),
    }
    return call(attributes, x, [result], {})[0]


# Small leaves in a row, an empty one, a scalar, one chunk exactly, and many chunks.
SIZES = (7, 100, 0, 1, 32768, 100, 300_001, 5, 32769, 100_000)
SHAPES = ((3, 5), (1000, 700), (0, 4), (7, 0), (1, 90_000), (90_000, 1), (300, 2000))


def random_leaves(shapes: Sequence[Any], seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape, np.float32) for shape in shapes]


def device(leaves: Sequence[np.ndarray]) -> list[jax.Array]:
    """Copies on JAX's device, which may be overwritten."""
    return [jnp.array(leaf) for leaf in leaves]


def digest() -> str:
    """The bits of all that the kernels compute, in one hash."""
    registered(AXPY)
    w = random_leaves([len(SIZES)], 0)[0]
    p, g = random_leaves(SIZES, 1), random_leaves(SIZES, 2)
    x, r = random_leaves(SHAPES, 3), random_leaves([shape[:1] for shape in SHAPES], 4)
    flat, matrices, rows = Layout.of(SIZES, 3), Layout.of(SHAPES, 3), Layout.of([shape[:1] for shape in SHAPES], 3)
    packed_p, packed_g = jnp.array(flat.pack(p)), jnp.array(flat.pack(g))
    results = (
        jax.jit(axpy)(jnp.float32(0.1), jnp.array(w), device(p), device(g)),
        jax.jit(axes)(device(x), device(r)),
        jax.jit(lambda *args: packed_axpy(*args, layout=flat))(jnp.float32(0.1), jnp.array(w), packed_p, packed_g),
        packed_axes(jnp.array(matrices.pack(x)), jnp.array(rows.pack(r)), matrices, rows),
        jax.jit(lambda leaves: per_leaf_sums(leaves, jnp.bfloat16))(device(p)),
    )
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(results):
        sha.update(np.asarray(leaf).tobytes())
    return sha.hexdigest()
