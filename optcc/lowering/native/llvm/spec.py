"""What a kernel is, apart from its text: the space that it iterates over, what it reads, and where its results go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from xdsl.ir import Attribute

from optcc.dialect import Combiner, MapOp, TreeType, element_type
from optcc.dtypes import dtype_of


@dataclass(frozen=True)
class IterationSpace:
    """The iteration space of a map: its dimensions, and which of them each operand and result keeps.

    A mask has bit d set for dimension d. It is None for an operand that is a scalar or per-leaf, and for a result that
    is folded to one.
    """

    rank: int
    operand_kept: tuple[int | None, ...]
    result_kept: tuple[int | None, ...]

    @staticmethod
    def of_elements(op: MapOp) -> IterationSpace:
        """One dimension; every tree of elements keeps it."""

        def kept(type_: Attribute) -> int | None:
            return 1 if isinstance(type_, TreeType) and type_.has_elements else None

        return IterationSpace(1, tuple(map(kept, op.operand_types)), tuple(map(kept, op.result_types)))

    @property
    def all_kept(self) -> int:
        """The mask of an array with every element."""
        return (1 << self.rank) - 1


@dataclass(frozen=True)
class ValueOperand:
    """An operand of the map that is a scalar, or one value a leaf."""

    operand: int
    dtype: np.dtype
    per_leaf: bool


@dataclass(frozen=True)
class ArrayOperand:
    """An operand of the map that is an array, and the dimensions it keeps."""

    operand: int
    dtype: np.dtype
    kept: int


@dataclass(frozen=True)
class Result:
    """A result of the map.

    `kept` is the mask of its dimensions, -1 for a per-leaf fold, -2 for a scalar one; `writes` is the index, among the
    array operands, of the one it overwrites, or -1.
    """

    dtype: np.dtype
    kind: Combiner
    kept: int
    writes: int


@dataclass(frozen=True)
class KernelSpec:
    """The kernel of a map on one chunk of a leaf."""

    space: IterationSpace
    values: tuple[ValueOperand, ...]
    arrays: tuple[ArrayOperand, ...]
    results: tuple[Result, ...]

    @cached_property
    def fresh(self) -> list[int]:
        """The results that are stored in arrays of their own."""
        return [i for i, r in enumerate(self.results) if r.kind is Combiner.NONE and r.writes < 0]

    @cached_property
    def combined(self) -> list[int]:
        """The results that are folded."""
        return [i for i, r in enumerate(self.results) if r.kind is not Combiner.NONE]

    @cached_property
    def masks(self) -> set[int]:
        """The sets of dimensions that some array keeps."""
        return {a.kept for a in self.arrays} | {r.kept for r in self.results if r.kept >= 0}


def spec_of(op: MapOp, overwritten: Sequence[int | None], space: IterationSpace) -> KernelSpec:
    """The kernel of a map; `overwritten[i]` is the operand whose array result i overwrites, None if it has its own.

    Raises ValueError for a space or an overwriting that does not fit the map.
    """
    operands = list(enumerate(zip(op.operand_types, space.operand_kept, strict=True)))
    values = tuple(
        ValueOperand(i, dtype_of(element_type(t)), isinstance(t, TreeType)) for i, (t, kept) in operands if kept is None
    )
    arrays = tuple(ArrayOperand(i, dtype_of(element_type(t)), kept) for i, (t, kept) in operands if kept is not None)
    position = {a.operand: k for k, a in enumerate(arrays)}
    results: list[Result] = []
    for i, (type_, kind) in enumerate(zip(op.result_types, op.kinds, strict=True)):
        target, kept = overwritten[i], space.result_kept[i]
        _check_result(op, i, space, target)
        fold = -1 if isinstance(type_, TreeType) else -2
        writes = -1 if target is None else position[target]
        results.append(Result(dtype_of(element_type(type_)), kind, fold if kept is None else kept, writes))
    return KernelSpec(space, values, arrays, tuple(results))


def _check_result(op: MapOp, i: int, space: IterationSpace, target: int | None) -> None:
    if op.kinds[i] is not Combiner.NONE:
        if target is not None:
            raise ValueError(f"result {i} is folded, so it cannot overwrite operand {target}")
        return
    if space.result_kept[i] != space.all_kept:
        raise ValueError(f"result {i} is stored, so it must keep all {space.rank} dimensions")
    if target is None:
        return
    if space.operand_kept[target] != space.all_kept:
        raise ValueError(f"result {i} overwrites operand {target}, which does not have every element")
    if element_type(op.operand_types[target]) != element_type(op.result_types[i]):
        raise ValueError(f"result {i} overwrites operand {target}, which has another element type")


def stream_sizes(
    op: MapOp, overwritten: Sequence[int | None], space: IterationSpace, near: Collection[int] = ()
) -> list[int]:
    """Bytes of an element of each array of a map's kernel, 0 for one that needs no prefetch.

    Those of the operands in `near` are in the cache, and those without every element soon are.
    """
    all_kept = space.all_kept
    sizes = [
        dtype_of(element_type(t)).itemsize if kept == all_kept and i not in near else 0
        for i, (t, kept) in enumerate(zip(op.operand_types, space.operand_kept, strict=True))
        if kept is not None
    ]
    results = zip(op.result_types, op.kinds, overwritten, strict=True)
    fresh = [t for t, kind, target in results if kind is Combiner.NONE and target is None]
    return sizes + [dtype_of(element_type(t)).itemsize for t in fresh]
