"""Values by axis beside tiled buffers: spread over the elements by a gather, folded from leaves of one shape at once.

An element of a tile belongs to a leaf, and its place in the leaf says which row and which column it is in. So a value
by axis is looked up in a vector that has those of all leaves. Leaves of one shape are neighbours in a tiled buffer, so
that a fold that keeps some axes sees them as one array with an axis more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from jax.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute

from optcc.dialect import Combiner, Leaf
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.ordering import order_after
from optcc.lowering.stablehlo.scalar_ops import broadcast, tensor
from optcc.program.storage import TILE

LARGEST = 2**31 - 2 * TILE
"""Elements of a leaf whose places, and those of the gap behind it, are counted in 32 bits."""


def spread(
    leaves: Sequence[Leaf],
    leaf_of_tile: np.ndarray,
    extent: str,
    values: Sequence[Tensor],
    after: Tensor | None,
) -> Tensor:
    """Values of an axis extent at every element of a buffer, as a matrix of tiles.

    `leaf_of_tile` is -1 for tiles of no leaf, which get some value. What is computed from the matrix is not known
    before `after` is: XLA takes two sweeps that compute the same for one, and keeps an array of it between them.
    """
    element = ir.RankedTensorType(values[0].type).element_type
    sizes = [prod(leaf.shape_of(extent)) for leaf in leaves]
    flat = [hlo.reshape(ir.RankedTensorType.get([n], element), v) for n, v in zip(sizes, values, strict=True)]
    bases = np.cumsum([0, *sizes[:-1]])
    index = _column(leaf_of_tile, bases)
    place = _places(leaf_of_tile, after)
    for i in range(max(len(leaf.kept(extent)) for leaf in leaves)):
        terms = [_Term.of(leaf, extent, i) for leaf in leaves]
        coordinate = place
        if any(t.inner != 1 for t in terms):
            coordinate = hlo.divide(coordinate, _column(leaf_of_tile, [t.inner for t in terms]))
        if any(not t.is_outermost for t in terms):
            coordinate = hlo.remainder(coordinate, _column(leaf_of_tile, [t.count for t in terms]))
        if any(t.stride != 1 for t in terms):
            coordinate = hlo.multiply(coordinate, _column(leaf_of_tile, [t.stride for t in terms]))
        index = hlo.add(index, coordinate)
    vector = hlo.concatenate(flat, 0) if len(flat) > 1 else flat[0]
    return gather(order_after([vector], after)[0] if after is not None else vector, index)


@dataclass(frozen=True)
class _Term:
    """An axis that an extent keeps: elements between two places on it, its places, and values between two places."""

    inner: int = 1
    count: int = 1
    stride: int = 0
    is_outermost: bool = False

    @staticmethod
    def of(leaf: Leaf, extent: str, number: int) -> _Term:
        kept = leaf.kept(extent)
        if number >= len(kept):
            return _Term()
        axis = kept[number]
        stride = prod(leaf.shape[a] for a in kept[number + 1 :])
        return _Term(prod(leaf.shape[axis + 1 :]), leaf.shape[axis], stride, axis == 0)


def fold(
    leaves: Sequence[Leaf], offsets: Sequence[int], matrix: Tensor, kind: Combiner, type_: Attribute, extent: str
) -> list[Tensor]:
    """Fold the elements of leaves to values of an axis extent, a tensor for each leaf."""
    found: dict[int, Tensor] = {}
    for run in _neighbours(leaves, offsets):
        leaf, count = leaves[run[0]], len(run)
        padded = -(-leaf.size // TILE) * TILE
        first = offsets[run[0]] // TILE
        rows = _slice(matrix, [first, 0], [first + count * padded // TILE, TILE])
        whole = hlo.reshape(tensor([count, padded], type_), rows)
        whole = _slice(whole, [0, 0], [count, leaf.size]) if padded > leaf.size else whole
        stacked = hlo.reshape(tensor([count, *leaf.shape], type_), whole)
        gone = [axis + 1 for axis in range(len(leaf.shape)) if axis not in leaf.kept(extent)]
        folded = reductions.reduce([stacked], [kind], type_, gone)[0]
        kept = hlo.reshape(tensor([count, *leaf.shape_of(extent)], type_), folded)
        found.update(zip(run, unstacked(kept), strict=True))
    return [found[i] for i in range(len(leaves))]


def unstacked(stack: Tensor) -> list[Tensor]:
    """The tensors that are side by side along the first axis of one."""
    type_ = ir.RankedTensorType(stack.type)
    count, *shape = type_.shape
    one = ir.RankedTensorType.get(shape, type_.element_type)
    zeros = [0] * len(shape)
    return [hlo.reshape(one, _slice(stack, [i, *zeros], [i + 1, *shape])) for i in range(count)]


def gather(vector: Tensor, index: Tensor, *, in_order: bool = False) -> Tensor:
    """Elements of a vector at every place of a tensor of indices; `in_order` if these never fall."""
    rank = ir.RankedTensorType(index.type).rank
    numbers = hlo.GatherDimensionNumbers.get(
        offset_dims=[],
        collapsed_slice_dims=[0],
        operand_batching_dims=[],
        start_indices_batching_dims=[],
        start_index_map=[0],
        index_vector_dim=rank,
    )
    return hlo.gather(vector, index, numbers, ir.DenseI64ArrayAttr.get([1]), indices_are_sorted=in_order)


def gather_rows(matrix: Tensor, rows: np.ndarray) -> Tensor:
    """Rows of a matrix."""
    width = ir.RankedTensorType(matrix.type).shape[1]
    numbers = hlo.GatherDimensionNumbers.get(
        offset_dims=[1],
        collapsed_slice_dims=[0],
        operand_batching_dims=[],
        start_indices_batching_dims=[],
        start_index_map=[0],
        index_vector_dim=1,
    )
    return hlo.gather(matrix, mlir.ir_constant(rows), numbers, ir.DenseI64ArrayAttr.get([1, width]))


def _neighbours(leaves: Sequence[Leaf], offsets: Sequence[int]) -> Iterator[list[int]]:
    """Leaves of one shape and of the same axes that are one behind the other in a buffer."""
    run: list[int] = []
    for i in sorted(range(len(leaves)), key=offsets.__getitem__):
        if run:
            last = leaves[run[-1]]
            padded = -(-last.size // TILE) * TILE
            alike = (last.shape, last.axes) == (leaves[i].shape, leaves[i].axes)
            if not alike or offsets[i] != offsets[run[-1]] + padded:
                yield run
                run = []
        run.append(i)
    if run:
        yield run


def _places(leaf_of_tile: np.ndarray, after: Tensor | None) -> Tensor:
    """For each element of a buffer its place in its leaf, known when `after` is."""
    changes = np.flatnonzero(np.diff(leaf_of_tile, prepend=-2))
    starts = np.repeat(changes, np.diff(changes, append=len(leaf_of_tile)))
    first = ((np.arange(len(leaf_of_tile)) - starts) * TILE).astype(np.int32)
    shape = [len(leaf_of_tile), TILE]
    lanes = hlo.iota(ir.RankedTensorType.get(shape, ir.IntegerType.get_signless(32)), 1)
    column = mlir.ir_constant(first[:, None])
    return hlo.add(lanes, broadcast(order_after([column], after)[0] if after is not None else column, shape))


def _column(leaf_of_tile: np.ndarray, values: Sequence[int] | np.ndarray) -> Tensor:
    """Numbers of leaves at every element of their tiles."""
    column = np.asarray(values, np.int32)[np.maximum(leaf_of_tile, 0)]
    return broadcast(mlir.ir_constant(column[:, None]), [len(leaf_of_tile), TILE])


def _slice(value: Tensor, start: Sequence[int], end: Sequence[int]) -> Tensor:
    return hlo.slice(value, *(ir.DenseI64ArrayAttr.get(list(x)) for x in (start, end, [1] * len(start))))
