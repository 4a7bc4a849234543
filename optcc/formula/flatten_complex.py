"""Trees over other leaves with the same values: one flat vector, and real pairs in the place of complex arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import ComplexType
from xdsl.ir import SSAValue

from optcc.base import SplitRealAndImaginaryArrays
from optcc.dialect import JoinOp, Leaf, ReshapeOp, SplitOp, TreeType
from optcc.dtypes import compute_dtype, real_of, type_of
from optcc.errors import message
from optcc.formula.values import GroupedLeaves, Tree

if TYPE_CHECKING:
    from optcc.formula.builder import Builder


def flatten(b: Builder, tree: Tree) -> Tree:
    """All values of a tree as one vector, in tree order, in the dtype that they promote to.

    Raises TypeError for a tree with real and complex leaves: the way back would lose imaginary parts.
    """
    if len({np.issubdtype(dtype, np.complexfloating) for dtype in tree.dtypes.values()}) > 1:
        fix = "put split_real_and_imaginary around flatten, or partition the parameters"
        raise TypeError(message("flatten cannot put real and complex leaves into one vector", b.where_in_chain, fix))
    dtype = np.dtype(jnp.result_type(*tree.dtypes.values())) if tree.dtypes else np.dtype(np.float32)
    whole = _one_group(b, tree.leaf_set)
    size = sum(leaf.size for leaf in b.leaf_sets.leaves(whole))
    target = b.leaf_sets.root(b.symbol_name("flat"), jax.tree.structure(0), [Leaf("flat", (size,))], [("flat",)])
    values = list(b.as_typed(b.cast(tree, dtype)).parts.values())
    if not values:
        return b.full(target, 0.0, {0: dtype})
    type_ = TreeType.of(type_of(compute_dtype(dtype)), whole)
    value = values[0] if len(values) == 1 else b.add(JoinOp(values, type_)).results[0]
    flat = b.add(ReshapeOp(value, TreeType.of(type_.element, target.groups[0]))).results[0]
    return Tree(b, target, {0: flat}, {0: dtype})


def unflatten(b: Builder, flat: Tree, like: GroupedLeaves) -> Tree:
    """The inverse of `flatten`, over the leaves given; the dtype stays that of the vector."""
    if not like.groups:
        return Tree(b, like, {}, {})
    whole, value = _one_group(b, like), flat.parts[0]
    assert isinstance(value.type, TreeType)
    type_ = value.type.with_leaves(whole)
    joined = b.add(ReshapeOp(value, type_)).results[0]
    groups = list(like.groups)
    parts: dict[int, SSAValue] = {groups[0]: joined}
    if len(groups) > 1:
        split = b.add(SplitOp(joined, [type_.with_leaves(symbol) for symbol in like.groups.values()]))
        parts = dict(zip(groups, split.results, strict=True))
    return Tree(b, like, parts, dict.fromkeys(groups, flat.dtypes[0]))


def _one_group(b: Builder, leaf_set: GroupedLeaves) -> str:
    """The symbol of a set with all leaves, in tree order."""
    pairs = zip(b.leaf_sets.paths(leaf_set), b.leaf_sets.shapes(leaf_set), strict=True)
    return b.leaf_sets.define("whole", tuple(Leaf(path, shape) for path, shape in pairs))


def to_real_pairs(b: Builder, tree: Tree) -> Tree:
    """The tree with a `SplitRealAndImaginaryArrays` in the place of every complex leaf."""
    tree, leaf_set = b.as_typed(tree), _pairs(b, tree)
    found: dict[int, list[SSAValue]] = {k: [] for k in leaf_set.groups}
    dtypes: dict[int, np.dtype] = {}
    for k, value in tree.parts.items():
        for piece in _pieces(b, tree, k, leaf_set):
            value_of = value
            if piece.part:
                op = complex_dialect.ReOp if piece.part == "real" else complex_dialect.ImOp
                element = type_of(real_of(tree.dtypes[k]))
                symbol = b.leaf_sets.define(piece.part, piece.leaves)
                parts = b.map_parts([value], op, element)
                value_of = b.add(ReshapeOp(parts, TreeType.of(element, symbol))).results[0]
            for group, one in _split(b, value_of, piece).items():
                found[group].append(one)
                dtypes[group] = real_of(tree.dtypes[k])
    return Tree(b, leaf_set, {k: _joined(b, values, leaf_set.groups[k]) for k, values in found.items()}, dtypes)


def from_real_pairs(b: Builder, pairs: Tree, like: Tree) -> Tree:
    """The inverse of `to_real_pairs`: complex leaves where `like` has them."""
    wanted = {k: _pieces(b, like, k, pairs.leaf_set) for k in like.parts}
    found: dict[tuple[Leaf, ...], SSAValue] = {}
    for group, value in pairs.parts.items():
        tables = [piece.in_group[group] for pieces in wanted.values() for piece in pieces if group in piece.in_group]
        assert isinstance(value.type, TreeType)
        if len(tables) == 1:
            found[tables[0]] = value
            continue
        types = [value.type.with_leaves(b.leaf_sets.define("part", leaves)) for leaves in tables]
        found.update(zip(tables, b.add(SplitOp(value, types)).results, strict=True))
    parts: dict[int, SSAValue] = {}
    dtypes: dict[int, np.dtype] = {}
    for k, pieces in wanted.items():
        symbol = like.leaf_set.groups[k]
        values: list[SSAValue] = []
        for piece in pieces:
            whole = b.leaf_sets.define(piece.part, piece.leaves) if piece.part else symbol
            values.append(_joined(b, [found[leaves] for leaves in piece.in_group.values()], whole))
        dtypes[k] = pairs.dtypes[next(iter(pieces[0].in_group))]
        if len(values) == 1:
            parts[k] = values[0]
            continue
        type_ = values[0].type
        assert isinstance(type_, TreeType)
        real, imaginary = (b.add(ReshapeOp(v, type_.with_leaves(symbol))).results[0] for v in values)
        dtypes[k] = np.dtype(jnp.result_type(dtypes[k], np.complex64))
        parts[k] = _complex(b, real, imaginary, dtypes[k])
    return Tree(b, like.leaf_set, parts, dtypes)


def _joined(b: Builder, values: Sequence[SSAValue], symbol: str) -> SSAValue:
    """Parts of a leaf set as one value over all of it."""
    type_ = values[0].type
    assert isinstance(type_, TreeType)
    return values[0] if len(values) == 1 else b.add(JoinOp(values, type_.with_leaves(symbol))).results[0]


def _split(b: Builder, value: SSAValue, piece: _Piece) -> dict[int, SSAValue]:
    """A piece by the groups of the pairs that its leaves are in."""
    type_ = value.type
    assert isinstance(type_, TreeType)
    if len(piece.in_group) == 1:
        return dict.fromkeys(piece.in_group, value)
    types = [type_.with_leaves(b.leaf_sets.define("part", leaves)) for leaves in piece.in_group.values()]
    return dict(zip(piece.in_group, b.add(SplitOp(value, types)).results, strict=True))


def _complex(b: Builder, real: SSAValue, imaginary: SSAValue, dtype: np.dtype) -> SSAValue:
    """A part of a complex tree from its real and its imaginary part."""
    element = type_of(dtype)
    assert isinstance(element, ComplexType)
    return b.map_parts([real, imaginary], lambda x, y: complex_dialect.CreateOp(x, y, element), element)


def _pairs(b: Builder, tree: Tree) -> GroupedLeaves:
    from optcc.importers.foreign import as_shapes, opaque_leaf_set

    def pair(x: Any) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.complexfloating):
            return x
        part: Any = jax.ShapeDtypeStruct(x.shape, real_of(x.dtype))
        return SplitRealAndImaginaryArrays(part, part)

    return opaque_leaf_set(b, "pairs", jax.tree.map(pair, as_shapes(b, tree)))[0]


@dataclass(frozen=True)
class _Piece:
    """What becomes of a group of leaves: the real, the imaginary part, or what is real as it is, with no name.

    `in_group` says which of its leaves are in which group of the pairs, that a mask may have parted.
    """

    part: str
    leaves: tuple[Leaf, ...]
    in_group: dict[int, tuple[Leaf, ...]]


def _pieces(b: Builder, tree: Tree, k: int, pairs: GroupedLeaves) -> list[_Piece]:
    leaves = b.leaf_sets.leaves(tree.leaf_set.groups[k])
    names = ["real", "imaginary"] if jnp.issubdtype(tree.dtypes[k], jnp.complexfloating) else [""]
    group_of = {leaf.path: g for g, symbol in pairs.groups.items() for leaf in b.leaf_sets.leaves(symbol)}
    result: list[_Piece] = []
    for name in names:
        named = tuple(Leaf(f"{leaf.path}.{name}".strip("."), leaf.shape) for leaf in leaves) if name else leaves
        groups = dict.fromkeys(group_of[leaf.path] for leaf in named)
        in_group = {g: tuple(leaf for leaf in named if group_of[leaf.path] == g) for g in groups}
        result.append(_Piece(name, named, in_group))
    return result
