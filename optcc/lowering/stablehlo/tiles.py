"""Maps on tiled buffers: one expression for all leaves, in portable StableHLO.

A tiled buffer is a matrix with a row for each tile, and every tile belongs to one leaf. So what differs from leaf to
leaf is a column of that matrix. A fold of leaves is a fold of the rows, and then one over the tiles of each leaf. What
lies behind the end of a leaf, or belongs to a leaf that the map is not on, enters no fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jax.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute, SSAValue

from optcc.dialect import Combiner, Extent, MapOp, TreeType, leaf_set
from optcc.lowering.backend import Tensor, Value
from optcc.lowering.packed_values import Buffer, PackedView, Vector, as_leaves, as_vector
from optcc.lowering.stablehlo import reductions, tile_axes
from optcc.lowering.stablehlo.scalar_ops import broadcast, emit, tensor
from optcc.program.storage import TILE, Packing


@dataclass(frozen=True)
class Tiles:
    """Some leaves of a tiled buffer, in the order in which a map has them."""

    packing: Packing
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    @staticmethod
    def of(view: PackedView) -> Tiles:
        """The leaves of a tree."""
        sizes = tuple(int(np.prod(shape, dtype=np.int64)) for _, shape in view.places)
        return Tiles(view.buffer.packing, tuple(offset for offset, _ in view.places), sizes)

    @property
    def shape(self) -> list[int]:
        """Of the buffer as a matrix."""
        return [self.packing.size // TILE, TILE]

    @cached_property
    def leaf(self) -> np.ndarray:
        """For each tile of the buffer its leaf, counted in the order of the map; -1 where that has none."""
        found = np.full(self.shape[0], -1, np.int32)
        for i, (offset, size) in enumerate(zip(self.offsets, self.sizes, strict=True)):
            found[offset // TILE : -(-(offset + size) // TILE)] = i
        return found

    @cached_property
    def valid(self) -> np.ndarray:
        """For each tile of the buffer, how many of its elements belong to a leaf of the map."""
        found = np.zeros(self.shape[0], np.int32)
        for offset, size in zip(self.offsets, self.sizes, strict=True):
            start, end = offset // TILE, (offset + size) // TILE
            found[start:end] = TILE
            if size % TILE:
                found[end] = size % TILE
        return found

    def is_at(self, other: Tiles) -> bool:
        """Whether the leaves are at the same places as some others."""
        return (self.packing.size, self.offsets) == (other.packing.size, other.offsets)

    def rows_for(self, other: Tiles) -> np.ndarray:
        """For each tile of another buffer with these leaves the tile here that has the same elements; 0 if none."""
        found = np.zeros(other.shape[0], np.int32)
        for here, there, size in zip(self.offsets, other.offsets, self.sizes, strict=True):
            count = -(-size // TILE)
            found[there // TILE :][:count] = np.arange(count) + here // TILE
        return found

    @property
    def is_whole(self) -> bool:
        """Whether every tile of the buffer belongs to a leaf of the map."""
        return bool((self.leaf >= 0).all())


def tiles_of(op: MapOp, operands: Sequence[Value], *, with_axes: bool) -> Tiles | None:
    """The tiles that a map runs on, if all arrays that it reads are in tiled buffers; else None.

    They are those of the smallest buffer: arrays whose tiles are elsewhere in another are brought to them. That is
    done, as values by axis are served, only `with_axes`.
    """
    types = (*op.operand_types, *op.result_types)
    views = [v for v, t in zip(operands, op.operand_types, strict=True) if isinstance(t, TreeType) and t.has_elements]
    if op.domain != Extent.ELEMENTS or not views:
        return None
    if not all(isinstance(v, PackedView) and v.buffer.packing.is_tiled for v in views):
        return None
    found = sorted((Tiles.of(v) for v in views), key=lambda t: t.packing.size)
    alike = all((t.packing.size, t.offsets) == (found[0].packing.size, found[0].offsets) for t in found)
    by_axis = any(isinstance(t, TreeType) and t.has_axes for t in types)
    if (by_axis or not alike) and not (with_axes and max(found[0].sizes, default=0) <= tile_axes.LARGEST):
        return None
    return found[0]


def emit_tiled(
    op: MapOp, tiles: Tiles, operands: Sequence[Value], overwritten: Sequence[int | None], *, folds_together: bool
) -> list[Value]:
    """The results of a map on all its leaves: packed views, vectors of folds of leaves, 0-d tensors of folds of all.

    `folds_together` says whether several folds of elements are one `reduce` of several operands.
    """
    env: dict[SSAValue, Tensor] = {}
    leaves, vectors = leaf_set(op, op.leaves), [v for v in operands if isinstance(v, Vector)]
    for argument, value, type_ in zip(op.block.args, operands, op.operand_types, strict=True):
        if isinstance(type_, TreeType) and type_.has_axes:
            after = vectors[0].tensor if vectors else None
            env[argument] = tile_axes.spread(leaves, tiles.leaf, type_.extent.data, as_leaves(value), after)
        else:
            env[argument] = _operand(tiles, value, type_)
    for inner in op.block.ops:
        if inner is not op.yields:
            env[inner.results[0]] = emit(inner, [env[v] for v in inner.operands])
    matrices = [broadcast(env[value], tiles.shape) for value in op.yields.arguments]
    folds: dict[Attribute, list[int]] = {}
    folded: dict[int, Value] = {}
    for i, (value, kind, type_) in enumerate(zip(op.yields.arguments, op.kinds, op.result_types, strict=True)):
        if kind is not Combiner.NONE and isinstance(type_, TreeType) and type_.has_axes:
            folded[i] = tile_axes.fold(leaves, tiles.offsets, matrices[i], kind, value.type, type_.extent.data)
        elif kind is not Combiner.NONE:
            folds.setdefault(value.type, []).append(i)
    for members in folds.values():
        folded.update(_folds(tiles, op, matrices, members, folds_together))
    results: list[Value] = []
    for i, (matrix, target) in enumerate(zip(matrices, overwritten, strict=True)):
        fresh = folded[i] if i in folded else _fresh(tiles, matrix, operands) if target is None else None
        results.append(_stored(tiles, matrix, operands[target]) if fresh is None and target is not None else fresh)
    return results


def _operand(tiles: Tiles, value: Value, type_: Attribute) -> Tensor:
    """A matrix for arrays, a column for values of leaves, a 0-d tensor for a scalar."""
    if not isinstance(type_, TreeType):
        return as_leaves(value)
    if type_.is_per_leaf:
        indices = np.maximum(tiles.leaf, 0)
        in_order = bool((np.diff(indices) >= 0).all())
        column = tile_axes.gather(as_vector(value), mlir.ir_constant(indices), in_order=in_order)
        return hlo.reshape(ir.RankedTensorType.get([tiles.shape[0], 1], _element(column)), column)
    there = Tiles.of(value)
    matrix = _read(value.buffer, there.offsets)
    return matrix if there.is_at(tiles) else tile_axes.gather_rows(matrix, there.rows_for(tiles))


def _read(buffer: Buffer, offsets: tuple[int, ...]) -> Tensor:
    """A matrix with the values of some leaves as they are now, whatever it has for others."""
    if offsets in buffer.parts:
        return buffer.parts[offsets]
    if all(set(offsets).isdisjoint(part) for part in buffer.parts):
        return buffer.without_parts
    return buffer.tensor


def _stored(tiles: Tiles, matrix: Tensor, view: PackedView) -> PackedView:
    """The view that a result overwrites; leaves of its buffer that the map is not on stay as they are.

    They are brought together when somebody asks for all. Until then the next sweep on these leaves takes the result as
    it is, so that XLA does not have to keep what it was beside what it becomes.
    """
    buffer, there = view.buffer, Tiles.of(view)
    if not there.is_at(tiles):
        tiles, matrix = there, tile_axes.gather_rows(matrix, tiles.rows_for(there))
    if tiles.is_whole:
        buffer.tensor = matrix
        return view
    if tiles.offsets not in buffer.parts and any(not set(tiles.offsets).isdisjoint(part) for part in buffer.parts):
        buffer.tensor = buffer.tensor  # parts that overlap come one after the other
    buffer.parts[tiles.offsets] = matrix
    buffer.merge = _merged
    return view


def _merged(buffer: Buffer) -> Tensor:
    """All leaves of a buffer, the new values of some in their places."""
    packing = buffer.packing
    sizes = dict(zip(packing.offsets, packing.sizes, strict=True))
    found = {k: Tiles(packing, k, tuple(sizes[offset] for offset in k)).leaf >= 0 for k in buffer.parts}
    (first, result), *others = buffer.parts.items()
    if not np.logical_or.reduce(list(found.values())).all():
        result, others = buffer.without_parts, [(first, result), *others]
    shape = [packing.size // TILE, TILE]
    for part, matrix in others:
        result = hlo.select(broadcast(mlir.ir_constant(found[part][:, None]), shape), matrix, result)
    return result


def _fresh(tiles: Tiles, matrix: Tensor, operands: Sequence[Value]) -> PackedView:
    """A view of a buffer of its own."""
    views = [v for v in operands if isinstance(v, PackedView)]
    shapes = next(tuple(shape for _, shape in v.places) for v in views if Tiles.of(v).sizes == tiles.sizes)
    return PackedView(Buffer(matrix, tiles.packing), tuple(zip(tiles.offsets, shapes, strict=True)))


def _folds(
    tiles: Tiles, op: MapOp, matrices: Sequence[Tensor], members: Sequence[int], together: bool
) -> dict[int, Value]:
    """The folds of some results of one element type, over all leaves or over each."""
    kinds, type_ = [op.kinds[i] for i in members], op.yields.arguments[members[0]].type
    inside, masked = _inside(tiles), [matrices[i] for i in members]
    if inside is not None:
        neutral = [broadcast(reductions.start(kind, type_), tiles.shape) for kind in kinds]
        masked = [hlo.select(inside, x, start) for x, start in zip(masked, neutral, strict=True)]
    if together:
        rows = dict(zip(members, reductions.reduce(masked, kinds, type_, [1]), strict=True))
    else:
        rows = {i: reductions.reduce([m], [k], type_, [1])[0] for i, m, k in zip(members, masked, kinds, strict=True)}
    of_leaves = [i for i in members if isinstance(op.result_types[i], TreeType)]
    found: dict[int, Value] = {}
    for group in (of_leaves, [i for i in members if i not in of_leaves]):
        chosen = [op.kinds[i] for i in group]
        fold = _fold_of_leaves if group is of_leaves else _fold_of_all
        if group:
            found.update(zip(group, fold(tiles, [rows[i] for i in group], chosen, type_), strict=True))
    return found


def _inside(tiles: Tiles) -> Tensor | None:
    """Which elements of the matrix belong to a leaf of the map; None if all do."""
    if (tiles.valid == TILE).all():
        return None
    count = broadcast(mlir.ir_constant(tiles.valid[:, None]), tiles.shape)
    return hlo.compare(hlo.iota(_integers(tiles.shape), 1), count, hlo.ComparisonDirectionAttr.get("LT"))


def _fold_of_all(tiles: Tiles, rows: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Value]:
    """The folds of the tree, from those of the tiles."""
    return reductions.reduce(rows, kinds, type_, [0])


def _fold_of_leaves(tiles: Tiles, rows: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Value]:
    """The folds of each leaf, from those of its tiles.

    Every leaf looks at every tile: no scatter, whose order of addition would change from run to run on a GPU. It is one
    operation for each leaf and tile, where the map has some for each of the tile's thousand elements.
    """
    shape = [len(tiles.sizes), tiles.shape[0]]
    along = ir.DenseI64ArrayAttr.get([1])
    leaf = hlo.broadcast_in_dim(_integers(shape), mlir.ir_constant(tiles.leaf), along)
    own = hlo.compare(hlo.iota(_integers(shape), 0), leaf, hlo.ComparisonDirectionAttr.get("EQ"))
    spread = [hlo.broadcast_in_dim(tensor(shape, type_), row, along) for row in rows]
    neutral = [broadcast(reductions.start(kind, type_), shape) for kind in kinds]
    chosen = [hlo.select(own, x, start) for x, start in zip(spread, neutral, strict=True)]
    return [Vector(x) for x in reductions.reduce(chosen, kinds, type_, [1])]


def _element(value: Tensor) -> ir.Type:
    return ir.RankedTensorType(value.type).element_type


def _integers(shape: Sequence[int]) -> ir.Type:
    return ir.RankedTensorType.get(list(shape), ir.IntegerType.get_signless(32))
