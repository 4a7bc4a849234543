"""Which axis of its leaf each dimension of an array is.

An array that is computed from one leaf has its axes, without some, in any order, or with further ones along which it is
constant. `Axes` has for each dimension the axis of the leaf, or None where the array is constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from optcc.importers.primitives import NotImportedError

Axes = tuple[int | None, ...]
Shape = tuple[int, ...]
FLAT = -1
"""Stands for all axes of the leaf in one dimension, in row-major order."""


def broadcast(axes: Axes, shape: Shape, out: Shape, dimensions: Sequence[int]) -> Axes:
    """The axes after `broadcast_in_dim`."""
    found: list[int | None] = [None] * len(out)
    for axis, size, d in zip(axes, shape, dimensions, strict=True):
        found[d] = axis if size == out[d] else None
    return tuple(found)


def reshape(axes: Axes, shape: Shape, out: Shape) -> Axes:
    """The axes after a reshape. Raises NotImportedError for one that moves elements to other places of the leaf."""
    if shape == out:
        return axes
    if all(axis is None for axis in axes):
        return (None,) * len(out)
    rest = [(axis, size) for axis, size in zip(axes, shape, strict=True) if size != 1]
    if [size for _, size in rest] == [size for size in out if size != 1]:
        kept = iter(axis for axis, _ in rest)
        return tuple(next(kept) if size != 1 else None for size in out)
    if len(out) == 1 and axes == tuple(range(len(axes))):
        return (FLAT,)
    raise NotImportedError(f"it makes {list(out)} of {list(shape)}")


def unflatten(axes: Axes, out: Shape, leaf: Shape) -> Axes | None:
    """The axes after a flat array is given the leaf's shape again; None if that is not what happens."""
    return tuple(range(len(leaf))) if axes == (FLAT,) and out == leaf else None


def merge(all_axes: Iterable[Axes], rank: int) -> Axes:
    """The axes of an elementwise result. Raises NotImportedError where two operands have different ones."""
    found: list[int | None] = [None] * rank
    for axes in all_axes:
        for d, axis in enumerate(axes):
            if axis is not None and found[d] not in (None, axis):
                raise NotImportedError("it pairs different axes of one leaf")
            found[d] = axis if axis is not None else found[d]
    return tuple(found)


def fold(axes: Axes, shape: Shape, dimensions: Sequence[int]) -> tuple[Axes, frozenset[int]]:
    """The axes after a reduction over `dimensions`, and the axes of the leaf that it folds. Raises NotImportedError."""
    for d in dimensions:
        if axes[d] is None and shape[d] != 1:
            raise NotImportedError("it folds what is the same along an axis")
    kept = tuple(axis for d, axis in enumerate(axes) if d not in dimensions)
    folded = {axes[d] for d in dimensions}
    return kept, frozenset(axis for axis in folded if axis is not None)


def is_whole(axes: Axes, shape: Shape, leaf: Shape) -> bool:
    """Whether an array of these axes is in the place of a leaf: each dimension is its own axis, or constant."""
    return shape == leaf and all(axis in (None, d) for d, axis in enumerate(axes))


def size(shape: Shape) -> int:
    """The number of elements."""
    return math.prod(shape)
