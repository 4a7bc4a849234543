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
from tests.native.kernel_sources import ADD, AXES, AXPY, FOLD_NOTHING, SUM

# XLA's codes of the element types.
CODES = {"bool": 1, "int32": 4, "float16": 10, "float32": 11, "float64": 12, "bfloat16": 16}


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
