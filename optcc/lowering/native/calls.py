"""How the maps of a sweep become calls of native kernels: what runs natively, and the calls of each map.

The kernels' and the calls' contracts are in docs/native.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import groupby
from typing import Any

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from optcc.dialect import Combiner, Leaf, MapOp, SweepOp, TreeType, leaf_set, sweeps_of
from optcc.lowering.cache_tiles import bytes_of
from optcc.lowering.native.llvm import IterationSpace, Kernel, generate, stream_sizes, supported
from optcc.lowering.native.llvm.prefetch import LEAST_PROGRAM, bytes_that_pay

_BUFFERS = 128
"""About how many buffers a call reads: XLA takes longer to compile larger ones, and smaller ones cost more to run.

adamw on 1,000 leaves in a loop, CPU seconds in XLA: 4.5 with 128, 5.5 with 256, 6.8 with 512; 5.0 with 64.
"""
_KINDS = {Combiner.NONE: 0, Combiner.ADD: 1, Combiner.MAX: 2, Combiner.MIN: 3}
_XLA_DTYPES = {"bool": 1, "int8": 2, "int16": 3, "int32": 4, "int64": 5, "float16": 10, "float32": 11, "float64": 12,
               "complex64": 15, "bfloat16": 16, "complex128": 18}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One call: a kernel, the leaves it runs on by their index in the set, and the sizes of each."""

    kernel: Kernel
    leaves: tuple[int, ...]
    dims: tuple[tuple[int, ...], ...]

    @property
    def attributes(self) -> dict[str, Any]:
        """What the handler is told about the call."""
        kernel = self.kernel
        return {
            "kernel": kernel.name,
            "source": kernel.source,
            "leaves": len(self.leaves),
            "rank": kernel.spec.space.rank,
            "dims": [n for dims in self.dims for n in dims],
            "value_dtypes": [_code(v.dtype) for v in kernel.spec.values],
            "value_per_leaf": [int(v.per_leaf) for v in kernel.spec.values],
            "array_dtypes": [_code(a.dtype) for a in kernel.spec.arrays],
            "array_kept": [a.kept for a in kernel.spec.arrays],
            "result_dtypes": [_code(r.dtype) for r in kernel.spec.results],
            "result_kept": [r.kept for r in kernel.spec.results],
            "result_kind": [_KINDS[r.kind] for r in kernel.spec.results],
            "result_writes": [r.writes for r in kernel.spec.results],
        }


def _code(dtype: np.dtype) -> int:
    return _XLA_DTYPES[dtype.name]


def why_not_native(sweep: SweepOp) -> str:
    """Why a sweep cannot run natively, in a sentence; empty if it can."""
    reasons = (supported(op) for op in sweep.maps)
    return next((reason for reason in reasons if reason), "")


def kernels_of(function: FuncOp) -> list[Kernel]:
    """The kernels of all sweeps of a function that run natively, each once, in order."""
    found: dict[str, Kernel] = {}
    streams = streams_from_memory(function)
    for sweep in sweeps_of(function):
        if why_not_native(sweep):
            continue
        for op, overwritten in zip(sweep.maps, sweep.overwritten, strict=True):
            for call in calls_of(op, leaf_set(op, op.leaves), overwritten, streams):
                found.setdefault(call.kernel.name, call.kernel)
    return list(found.values())


def calls_of(
    op: MapOp,
    leaves: Sequence[Leaf],
    overwritten: Sequence[int | None],
    streams: bool,
    near: Collection[int] = (),
    adjoining: bool = False,
) -> list[Call]:
    """The calls of a map: leaves of one pattern share a kernel, and as many of them a call as its buffers allow.

    In a program that `streams` from memory, a call prefetches, on processors that gain by it, if its leaves are long
    enough, or lie one after another in memory (`adjoining`) and are long enough together. The operands of `near` are in
    the cache.
    """
    alike = {(leaf.shape, leaf.axes): leaf for leaf in leaves}
    found = {key: _iteration_space(op, leaf) for key, leaf in alike.items()}
    spaces = [found[leaf.shape, leaf.axes] for leaf in leaves]
    order = sorted(range(len(leaves)), key=lambda i: repr(spaces[i][0]))
    calls: list[Call] = []
    for pattern, group in groupby(order, key=lambda i: spaces[i][0]):
        make = cache(partial(generate, op, overwritten, pattern, near=near))
        sizes = [size for size in stream_sizes(op, overwritten, pattern, near) if size] if streams else []
        work = _operations(op) / max(1, len(sizes))
        members = list(group)
        step = max(1, _BUFFERS // max(1, sum(kept is not None for kept in pattern.operand_kept)))
        for start in range(0, len(members), step):
            chosen = tuple(members[start : start + step])
            dims = tuple(spaces[i][1] for i in chosen)
            size = sum(sizes) * sum(map(math.prod, dims))
            ahead = bytes_that_pay(size, 1 if adjoining else len(chosen), work)
            calls.append(Call(make(ahead), chosen, dims))
    return calls


def _operations(op: MapOp) -> int:
    """What a map does for an element: the operations of its body, but constants, and its folds."""
    computed = sum(1 for inner in op.block.ops if inner is not op.yields and inner.operands)
    return computed + sum(kind is not Combiner.NONE for kind in op.kinds)


def streams_from_memory(function: FuncOp) -> bool:
    """Whether a function's arguments are too large to stay in the cache between two steps."""
    return sum(bytes_of(function).values()) >= LEAST_PROGRAM


def _iteration_space(op: MapOp, leaf: Leaf) -> tuple[IterationSpace, tuple[int, ...]]:
    """The pattern of a map on a leaf and its sizes: adjacent axes that every extent treats alike become one."""
    types = [*op.operand_types, *op.result_types]
    extents = list(dict.fromkeys(t.extent.data for t in types if isinstance(t, TreeType) and not t.is_per_leaf))
    kept = {extent: leaf.kept(extent) for extent in extents}
    sizes: list[int] = []
    signatures: list[tuple[bool, ...]] = []
    for axis, size in enumerate(leaf.shape):
        signature = tuple(axis in kept[extent] for extent in extents)
        if size == 1:
            continue
        if signatures and signatures[-1] == signature:
            sizes[-1] *= size
        else:
            sizes.append(size)
            signatures.append(signature)
    if not sizes:
        sizes, signatures = [1], [(True,) * len(extents)]
    masks = {
        extent: sum(1 << d for d, signature in enumerate(signatures) if signature[e])
        for e, extent in enumerate(extents)
    }

    def mask(type_: Attribute) -> int | None:
        return masks[type_.extent.data] if isinstance(type_, TreeType) and not type_.is_per_leaf else None

    pattern = IterationSpace(len(sizes), tuple(map(mask, op.operand_types)), tuple(map(mask, op.result_types)))
    return pattern, tuple(sizes)
