"""Folds in two parts: rows of each leaf, which is a kernel a leaf, and what is left, which is a few for all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import prod
from typing import TypeVar

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute

from optcc.dialect import Combiner
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo.reductions import reduce, start, total
from optcc.lowering.stablehlo.scalar_ops import tensor

T = TypeVar("T")

SMALL = 1 << 12
"""A leaf with at most as many elements is left whole: its elements are folded beside those of other leaves."""
_MOST_ROWS = 1 << 16
"""A leaf with more rows is folded at once: what is left would be no small array any more."""
_FEW = 8
"""Numbers that are folded one by one, which takes no kernel of its own."""
_BATCH = 32
"""Vectors that are put side by side in one operation; XLA:GPU fuses none with more than 96 operands and results."""


def rows_of(shape: Sequence[int]) -> int:
    """The length of what `fold_rows` leaves of a shape."""
    if prod(shape) <= SMALL:
        return prod(shape)
    rows = prod(shape[:-1])
    return rows if rows <= _MOST_ROWS else 1


def fold_rows(values: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Tensor]:
    """Fold the rows of tensors of one shape, to vectors; small tensors are only flattened."""
    shape = list(ir.RankedTensorType(values[0].type).shape)
    rows = rows_of(shape)
    if prod(shape) > SMALL:
        values = reduce(values, kinds, type_, [len(shape) - 1] if rows > 1 else list(range(len(shape))))
    return [hlo.reshape(tensor([rows], type_), v) for v in values]


def fold_together(vectors: Sequence[Tensor], kind: Combiner, type_: Attribute) -> Tensor:
    """The fold of all elements of some vectors.

    The barrier keeps both parts: XLA makes one fold of two, and of one of a concatenation one of each piece.
    """
    if not vectors:
        return start(kind, type_)
    if len(vectors) == 1:
        return reduce(vectors, [kind], type_, [0])[0]
    each = hlo.OptimizationBarrierOp([fold_each(vectors, kind, type_)]).results[0]
    if len(vectors) > _FEW:
        return reduce([each], [kind], type_, [0])[0]
    ones = [hlo.reshape(tensor([], type_), _element(each, i, type_)) for i in range(len(vectors))]
    return total(kind, type_, ones)


def fold_each(vectors: Sequence[Tensor], kind: Combiner, type_: Attribute) -> Tensor:
    """The folds of some vectors, side by side: those of one length are the rows of a matrix."""
    alike: defaultdict[int, list[int]] = defaultdict(list)
    for i, vector in enumerate(vectors):
        alike[ir.RankedTensorType(vector.type).shape[0]].append(i)
    places: dict[int, Tensor] = {}
    for length, members in alike.items():
        for some in _batches(members):
            rows = [hlo.reshape(tensor([1, length], type_), vectors[i]) for i in some]
            folded = reduce([hlo.concatenate(rows, 0)], [kind], type_, [1])[0]
            places.update({i: _element(folded, k, type_) for k, i in enumerate(some)})
    return hlo.concatenate([places[i] for i in range(len(vectors))], 0)


def _element(vector: Tensor, index: int, type_: Attribute) -> Tensor:
    """An element of a vector, as a vector of one."""
    start, end, step = (ir.DenseI64ArrayAttr.get([k]) for k in (index, index + 1, 1))
    return hlo.slice(vector, start, end, step)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[i : i + _BATCH] for i in range(0, len(items), _BATCH))
