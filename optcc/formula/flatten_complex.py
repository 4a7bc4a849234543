"""Trees over other leaves with the same values: one flat vector, and real pairs in the place of complex arrays."""

from __future__ import annotations

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
    pieces: dict[int, dict[tuple[Leaf, ...], SSAValue]] = {k: {} for k in leaf_set.groups}
    for k, value in tree.parts.items():
        for group, leaves, part in _pieces(b, tree, k, leaf_set):
            if part:
                op = complex_dialect.ReOp if part == "real" else complex_dialect.ImOp
                element = type_of(real_of(tree.dtypes[k]))
                value_of = b.map_parts([value], op, element)
                symbol = b.leaf_sets.define(part, leaves)
                value_of = b.add(ReshapeOp(value_of, TreeType.of(element, symbol))).results[0]
            else:
                value_of = value
            pieces[group][leaves] = value_of
    parts: dict[int, SSAValue] = {}
    dtypes: dict[int, np.dtype] = {}
    for group, symbol in leaf_set.groups.items():
        values = list(pieces[group].values())
        type_ = values[0].type
        assert isinstance(type_, TreeType)
        parts[group] = values[0] if len(values) == 1 else b.add(JoinOp(values, type_.with_leaves(symbol))).results[0]
    for k, dtype in tree.dtypes.items():
        for group, _, _ in _pieces(b, tree, k, leaf_set):
            dtypes[group] = real_of(dtype)
    return Tree(b, leaf_set, parts, dtypes)


def from_real_pairs(b: Builder, pairs: Tree, like: Tree) -> Tree:
    """The inverse of `to_real_pairs`: complex leaves where `like` has them."""
    found: dict[tuple[Leaf, ...], SSAValue] = {}
    wanted = {k: _pieces(b, like, k, pairs.leaf_set) for k in like.parts}
    for group, value in pairs.parts.items():
        tables = [leaves for pieces in wanted.values() for g, leaves, _ in pieces if g == group]
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
        values = [found[leaves] for _, leaves, _ in pieces]
        dtypes[k] = pairs.dtypes[pieces[0][0]]
        if len(values) == 1:
            parts[k] = values[0]
            continue
        type_ = values[0].type
        assert isinstance(type_, TreeType)
        real, imaginary = (b.add(ReshapeOp(v, type_.with_leaves(symbol))).results[0] for v in values)
        dtypes[k] = np.dtype(jnp.result_type(dtypes[k], np.complex64))
        parts[k] = _complex(b, real, imaginary, dtypes[k])
    return Tree(b, like.leaf_set, parts, dtypes)


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


def _pieces(b: Builder, tree: Tree, k: int, pairs: GroupedLeaves) -> list[tuple[int, tuple[Leaf, ...], str]]:
    """What becomes of a group of leaves: for each part, the group of the pairs, its leaves there and its name."""
    leaves = b.leaf_sets.leaves(tree.leaf_set.groups[k])
    names = ["real", "imaginary"] if jnp.issubdtype(tree.dtypes[k], jnp.complexfloating) else [""]
    group_of = {leaf.path: g for g, symbol in pairs.groups.items() for leaf in b.leaf_sets.leaves(symbol)}
    result: list[tuple[int, tuple[Leaf, ...], str]] = []
    for name in names:
        named = tuple(Leaf(f"{leaf.path}.{name}".strip("."), leaf.shape) for leaf in leaves) if name else leaves
        result.append((group_of[named[0].path], named, name))
    return result
