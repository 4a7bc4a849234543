"""Kernels called by ctypes as the runtime calls them, chunk by chunk, and maps to make them of."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.builtin import SymbolRefAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

import optcc
from optcc.dialect import Combiner, Extent, MapOp, SweepOp, TreeType, YieldOp
from optcc.dtypes import dtype_of
from optcc.interpret import INTERPRETER
from optcc.lowering.native.llvm import Kernel, compile_source

FOLDS = {Combiner.ADD: (0.0, np.add), Combiner.MAX: (-np.inf, np.maximum), Combiner.MIN: (np.inf, np.minimum)}
SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 4)


# A model of the runtime


def call(
    kernel: Kernel, inputs: Sequence[Any], dims: Sequence[int], chunk: int, source: str | None = None
) -> list[np.ndarray]:
    """The map's results on one leaf, folds in double; an input that is overwritten is copied first.

    An empty leaf is one empty chunk.
    """
    address = compile_source(source or kernel.source).address
    values = [np.array(inputs[v.operand], v.dtype) for v in kernel.spec.values]
    arrays = [np.array(inputs[a.operand], a.dtype) for a in kernel.spec.arrays]
    results: list[np.ndarray] = []
    for r in kernel.spec.results:
        if r.kind is Combiner.NONE:
            results.append(arrays[r.writes] if r.writes >= 0 else np.empty(dims, r.dtype))
        else:
            shape = [n for d, n in enumerate(dims) if r.kept >= 0 and r.kept >> d & 1]
            results.append(np.full(shape, FOLDS[r.kind][0]))
    fresh = [x for x, r in zip(results, kernel.spec.results, strict=True) if r.kind is Combiner.NONE and r.writes < 0]
    folds = [(x, r) for x, r in zip(results, kernel.spec.results, strict=True) if r.kind is not Combiner.NONE]
    for begin in range(0, max(1, dims[0]), chunk):
        partials = [np.full((), np.nan) if r.kept < 0 else x for x, r in folds]
        SIGNATURE(address)(
            begin,
            min(begin + chunk, dims[0]),
            np.array(dims, np.int64).ctypes.data,
            *(_table(group) for group in ([*arrays, *fresh], values, partials)),
        )
        for (x, r), partial in zip(folds, partials, strict=True):
            if r.kept < 0:
                x[...] = FOLDS[r.kind][1](x, partial)
    return results


def _table(arrays: Sequence[np.ndarray]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(x.ctypes.data for x in arrays))


def strict(kernel: Kernel) -> str:
    """The kernel's source without contraction, which then does what the interpreter does, op by op."""
    return kernel.source.replace("contract ", "")


def interpret(op: MapOp, inputs: Sequence[Any]) -> list[np.ndarray]:
    """What the body yields, by the interpreter's rules for scalar ops.

    Scalars are made arrays: XLA divides by a scalar in multiplying with its inverse, which kernels do not.
    """
    shape = np.broadcast_shapes(*(np.shape(x) for x in inputs))
    with jax.enable_x64(True):
        full = [jnp.asarray(np.broadcast_to(x, shape)) for x in inputs]
        env: dict[SSAValue, Any] = dict(zip(op.block.args, full, strict=True))
        for inner in op.block.ops:
            if inner is not op.yields:
                value = INTERPRETER.run_scalar(inner, [env[v] for v in inner.operands])
                env[inner.results[0]] = jnp.asarray(np.broadcast_to(value, shape))
        return [np.asarray(env[v], dtype_of(v.type)) for v in op.yields.arguments]


def ulps(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest distance in units of the last place; infinite where one is not finite and they differ."""
    if actual.dtype.kind in "bi":
        return 0 if (actual == expected).all() else np.inf
    info = jnp.finfo(actual.dtype)
    a, b = (np.asarray(x, np.float64) for x in np.broadcast_arrays(actual, expected))
    if actual.dtype != np.float16:
        # XLA flushes denormals. Kernels leave that to the thread that they run on.
        a, b = (np.where(np.abs(x) < float(info.tiny), 0, x) for x in (a, b))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.floor(np.log2(np.abs(b))), float(info.minexp))
        error = np.where(same, 0, np.abs(a - b) / 2.0 ** (exponent - info.nmant))
    return float(np.nan_to_num(error, nan=np.inf, posinf=np.inf).max(initial=0))


# Maps


def make_map(
    types: Sequence[Attribute],
    body: Callable[[Block, Sequence[SSAValue]], Sequence[SSAValue]],
    kinds: Sequence[Combiner] | None = None,
    extents: Sequence[Extent | None] | None = None,
) -> MapOp:
    """A map over trees, or scalars where an extent is None; results with a combiner are per leaf."""
    extents = extents or [Extent.ELEMENTS] * len(types)
    operands = Block(
        arg_types=[t if e is None else TreeType.of(t, "all", e) for t, e in zip(types, extents, strict=True)]
    )
    block = Block(arg_types=types)
    values = body(block, block.args)
    block.add_op(YieldOp(*values))
    kinds = kinds or [Combiner.NONE] * len(values)
    results = [
        TreeType.of(v.type, "all", Extent.ELEMENTS if k is Combiner.NONE else Extent.PER_LEAF)
        for v, k in zip(values, kinds, strict=True)
    ]
    return MapOp(SymbolRefAttr("all"), operands.args, results, Region(block), kinds)


def sweeps(tx: Any, params: Any) -> list[tuple[MapOp, list[int | None]]]:
    """The maps over elements of a compiled step, each with the operands that its results overwrite."""
    found: list[tuple[MapOp, list[int | None]]] = []
    for sweep in optcc.compile(tx, params).staged.program.step.op.walk():
        if not isinstance(sweep, SweepOp):
            continue
        found += zip(sweep.maps, sweep.overwritten, strict=True)
    return found


def random_input(rng: np.random.Generator, type_: Attribute, shape: Sequence[int]) -> np.ndarray:
    """An array of a type; floats are near 1."""
    dtype = dtype_of(type_)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind == "i":
        return rng.integers(-1000, 1000, shape).astype(dtype)
    return np.asarray(rng.uniform(0.5, 1.5, shape), dtype)


def added(block: Block, op: Operation) -> SSAValue:
    block.add_op(op)
    return op.results[0]
