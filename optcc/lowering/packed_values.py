"""Values that are not one tensor, or one a leaf: parts of packed buffers, per-leaf vectors and elements of vectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo

from optcc.dialect import Combiner, Leaf, MapOp, TreeType
from optcc.program.storage import TILE, Packing

Value = Any
Place = tuple[int, tuple[int, ...]]
"""The first element of a leaf in a buffer, and its shape."""


class Buffer:
    """A packed buffer as it is now: a sweep that overwrites leaves in it puts the new tensor in place of the old.

    The IR makes sure that nobody reads what is overwritten: see `optim.sweep`. `parts` are new values of some leaves,
    by their offsets, that are not in the tensor yet; who reads the tensor has them put there by `merge`.
    """

    def __init__(self, tensor: Value, packing: Packing) -> None:
        self.packing = packing
        self.parts: dict[tuple[int, ...], Value] = {}
        self.merge: Callable[[Buffer], Value] | None = None
        self.without_parts = tensor

    @property
    def tensor(self) -> Value:
        """The buffer with the new values of all leaves."""
        if self.merge is not None:
            self.tensor = self.merge(self)
        return self.without_parts

    @tensor.setter
    def tensor(self, value: Value) -> None:
        self.parts, self.merge, self.without_parts = {}, None, value


@dataclass(frozen=True)
class PackedView:
    """A tree whose leaves are in a buffer, maybe beside others."""

    buffer: Buffer
    places: tuple[Place, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the tree has every leaf of the buffer."""
        return len(self.places) == len(self.buffer.packing.offsets)


@dataclass(frozen=True)
class Vector:
    """A per-leaf value as one 1-d tensor, with native kernels; otherwise it is a list of 0-d tensors."""

    tensor: Value


@dataclass(frozen=True)
class Element:
    """A scalar that is an element of a 1-d tensor: native kernels read it there."""

    vector: Value
    index: int

    @cached_property
    def tensor(self) -> Value:
        """The scalar as a 0-d tensor, made where it is first asked for, at the top of the function that is emitted."""
        return _part(self.vector, self.index, ())


def view_of(tensor: Value, packing: Packing) -> PackedView:
    """The tree that a packed argument holds."""
    return PackedView(Buffer(tensor, packing), tuple(zip(packing.offsets, packing.shapes, strict=True)))


def as_leaves(value: Value) -> Value:
    """The tensors of the leaves of a tree; the tensor of a value that is no tree."""
    if isinstance(value, Element):
        return value.tensor
    if isinstance(value, Vector):
        size = ir.RankedTensorType(value.tensor.type).shape[0]
        return [_part(value.tensor, i, ()) for i in range(size)]
    if isinstance(value, PackedView):
        return [_part(value.buffer.tensor, start, shape) for start, shape in value.places]
    return value


def as_one_leaf(op: MapOp, operands: Sequence[Value], overwritten: Sequence[int | None]) -> Leaf | None:
    """The leaf that the whole buffers of a map's operands are, if the map can run on them as such, else None.

    The body must be the same for all leaves and fold nothing. What is between the leaves is computed, too: it is what
    the update makes of zeros, and nobody reads it.
    """
    elementwise = all(not isinstance(t, TreeType) or t.has_elements for t in (*op.operand_types, *op.result_types))
    if not elementwise or any(kind is not Combiner.NONE for kind in op.kinds) or None in overwritten:
        return None
    views = [v for v, t in zip(operands, op.operand_types, strict=True) if isinstance(t, TreeType)]
    packings = [v.buffer.packing if isinstance(v, PackedView) and v.is_whole else None for v in views]
    if not packings or packings[0] is None or any(p is None or p.offsets != packings[0].offsets for p in packings):
        return None
    return Leaf("packed", packings[0].array_shape)


def as_buffer(value: Value, packing: Packing) -> Value:
    """The tree as one packed buffer: the one that it is in, if all of it is there, else a new one."""
    if isinstance(value, PackedView) and value.is_whole and value.buffer.packing == packing:
        return value.buffer.tensor
    if isinstance(value, Vector) and not any(packing.shapes):
        return value.tensor
    leaves = as_leaves(value)
    type_ = ir.RankedTensorType(leaves[0].type).element_type
    zero = hlo.constant(ir.DenseElementsAttr.get_splat(ir.RankedTensorType.get([], type_), _zero(type_)))
    pieces: list[Value] = []
    for (size, gap), members in groupby(packing.pieces, key=lambda piece: piece[1:]):
        # Arrays of one size are the rows of a matrix, so that the gaps are put behind all of them at once.
        rows = [hlo.reshape(ir.RankedTensorType.get([1, size], type_), leaves[i]) for i, _, _ in members]
        matrix = _joined(rows)
        if gap:
            shape = ir.RankedTensorType.get([len(rows), gap], type_)
            zeros = hlo.broadcast_in_dim(shape, zero, ir.DenseI64ArrayAttr.get([]))
            matrix = hlo.concatenate([matrix, zeros], 1)
        shape = [len(rows) * (size + gap) // TILE, TILE] if packing.is_tiled else [len(rows) * (size + gap)]
        pieces.append(hlo.reshape(ir.RankedTensorType.get(shape, type_), matrix))
    return _joined(pieces)


def _joined(pieces: Sequence[Value]) -> Value:
    return hlo.concatenate(list(pieces), 0) if len(pieces) > 1 else pieces[0]


def as_vector(value: Value) -> Value:
    """A per-leaf value as one tensor."""
    if isinstance(value, Vector):
        return value.tensor
    if isinstance(value, PackedView) and value.is_whole and not any(value.buffer.packing.shapes):
        return value.buffer.tensor
    leaves = as_leaves(value)
    shape = ir.RankedTensorType.get([1], ir.RankedTensorType(leaves[0].type).element_type)
    ones = [hlo.reshape(shape, v) for v in leaves]
    return hlo.concatenate(ones, 0) if len(ones) > 1 else ones[0]


def _zero(type_: Any) -> ir.Attribute:
    return ir.FloatAttr.get(type_, 0.0) if not isinstance(type_, ir.IntegerType) else ir.IntegerAttr.get(type_, 0)


def _part(tensor: Value, start: int, shape: tuple[int, ...]) -> Value:
    """Elements of a buffer or a vector, in a shape; of a buffer of tiles by way of their rows."""
    type_, size = ir.RankedTensorType(tensor.type), math.prod(shape)
    if type_.rank > 1:
        row = type_.shape[1]
        first, count = start // row, -(-size // row)
        rows = _slice(tensor, [first, 0], [first + count, row])
        tensor = hlo.reshape(ir.RankedTensorType.get([count * row], type_.element_type), rows)
        start = 0
    piece = _slice(tensor, [start], [start + size])
    return hlo.reshape(ir.RankedTensorType.get(list(shape), type_.element_type), piece)


def _slice(tensor: Value, start: Sequence[int], end: Sequence[int]) -> Value:
    bounds = [ir.DenseI64ArrayAttr.get(list(x)) for x in (start, end, [1] * len(start))]
    return hlo.slice(tensor, *bounds)
