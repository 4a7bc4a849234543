"""Emits what goes beyond arithmetic on trees: other leaves and shapes, folds, random numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from xdsl.dialects.builtin import ComplexType, SymbolRefAttr
from xdsl.ir import Block, SSAValue

from optcc.base import PyTree
from optcc.dialect import (
    Combiner,
    CountOp,
    Distribution,
    Extent,
    JoinOp,
    Leaf,
    PackOp,
    RandomOp,
    ReduceOp,
    ReshapeOp,
    SplitKeyOp,
    SplitOp,
    TreeType,
    UnpackOp,
    element_type,
)
from optcc.dtypes import compute_dtype, default_float, real_of, type_of
from optcc.formula.arithmetic import Emitter
from optcc.formula.leaf_sets import LeafSets
from optcc.formula.promotion import tree_type
from optcc.formula.values import GroupedLeaves, Key, Scalar, Tree


class MixedGroupError(Exception):
    """Leaves of one group have come to have two dtypes: the program must be built again with them apart.

    `leaves` are those on one side.
    """

    def __init__(self, leaves: frozenset[int]) -> None:
        super().__init__(leaves)
        self.leaves = leaves


class TreeEmitter(Emitter):
    """Emits ops into a block, and the leaf sets that they are over into the module's block before it."""

    # For formulas, which do not import the dialect.
    ELEMENTS, PER_LEAF = Extent.ELEMENTS, Extent.PER_LEAF
    ADD, MAX, MIN = Combiner.ADD, Combiner.MAX, Combiner.MIN

    def __init__(self, leaf_sets: LeafSets, block: Block) -> None:
        super().__init__(block)
        self.leaf_sets = leaf_sets

    @abstractmethod
    def unique_name(self, name: str) -> str:
        """`name` for this transformation alone."""

    def first_leaf(self, symbol: str) -> str:
        return self.leaf_sets.leaves(symbol)[0].path

    def symbol_name(self, name: str) -> str:
        """`unique_name`, as the name of a leaf set."""
        return self.unique_name(name).replace(".", "_")

    def require_real(self, tree: Tree) -> None:
        """Raises ValueError for a tree with complex leaves."""
        for k, symbol in tree.leaf_set.groups.items():
            if real_of(tree.dtypes[k]) != tree.dtypes[k]:
                raise self.refusal("this transformation does not support complex parameters", SymbolRefAttr(symbol))

    # Leaf sets

    def split(
        self, tree: Tree, selected: Sequence[bool], structures: tuple[PyTree, PyTree] | None = None
    ) -> tuple[Tree, Tree]:
        """Part a tree by leaf: those selected, in tree order, and the rest, over the sets of `LeafSets.partition`."""
        sets = self.leaf_sets.partition(tree.leaf_set, selected, structures)
        parts: tuple[dict[int, SSAValue], ...] = ({}, {})
        for k, value in tree.parts.items():
            type_ = tree_type(value)
            sides = [side for side in (0, 1) if k in sets[side].groups]
            if len(sides) == 1:
                parts[sides[0]][k] = value
                continue
            results = self.add(SplitOp(value, [type_.with_leaves(sets[side].groups[k]) for side in sides])).results
            for side, result in zip(sides, results, strict=True):
                parts[side][k] = result
        on, off = (
            Tree(self, sets[i], parts[i], {k: tree.dtypes[k] for k in parts[i]}, extent=tree.extent) for i in (0, 1)
        )
        return on, off

    def join(self, on: Tree, off: Tree, whole: GroupedLeaves) -> Tree:
        """Put the two sides of a split together again, over the leaf set that was split.

        Raises MixedGroupError where the sides of a group now differ in their dtype.
        """
        parts: dict[int, SSAValue] = {}
        dtypes: dict[int, np.dtype] = {}
        for k, symbol in whole.groups.items():
            sides = [side for side in (on, off) if k in side.parts]
            if len({side.dtypes[k] for side in sides}) > 1:
                raise MixedGroupError(frozenset(on.leaf_set.leaves))
            dtypes[k] = sides[0].dtypes[k]
            values = [side.parts[k] for side in sides]
            if len({tree_type(v).element for v in values}) > 1:
                values = [self.as_typed(side).parts[k] for side in sides]
            if len(values) == 1:
                parts[k] = values[0]
                continue
            parts[k] = self.add(JoinOp(values, tree_type(values[0]).with_leaves(symbol))).results[0]
        return Tree(self, whole, parts, dtypes, extent=on.extent)

    def shapes(self, tree: Tree, dtypes: dict[int, np.dtype] | None = None) -> list[jax.ShapeDtypeStruct]:
        """The array of every leaf, in tree order, in the dtypes given, or in those of the tree."""
        dtypes = dtypes or tree.dtypes
        array = cache(jax.ShapeDtypeStruct)  # thousands of leaves have few shapes
        shapes: dict[int, jax.ShapeDtypeStruct] = {}
        for k, symbol in tree.leaf_set.groups.items():
            for index, leaf in zip(tree.leaf_set.members[k], self.leaf_sets.leaves(symbol), strict=True):
                shapes[index] = array(leaf.shape_of(tree.extent), dtypes[k])
        return [shapes[i] for i in sorted(shapes)]

    def axes(
        self,
        name: str,
        leaf_set: GroupedLeaves,
        kept: Callable[[tuple[int, ...]], Sequence[int]] | Mapping[int, Sequence[int]],
    ) -> str:
        """An axis extent of the leaves of a set; `kept` gives the axes it keeps, from a leaf's shape or by index."""
        return self.leaf_sets.declare_axes(name, leaf_set, kept)

    def vector(self, name: str, size: int, dtype: Any) -> GroupedLeaves:
        """The leaf set of a 1-d array of a state that belongs to no parameter."""
        leaves = [Leaf(name, (size,))]
        return self.leaf_sets.root(self.symbol_name(name), jax.tree.structure(0), leaves, [(np.dtype(dtype).name,)])

    def reshape(self, tree: Tree, leaf_set: GroupedLeaves, extent: str = Extent.ELEMENTS) -> Tree:
        """The values of a tree as those of another leaf set, or of another extent; the groups must correspond."""
        parts: dict[int, SSAValue] = {
            k: self.add(ReshapeOp(v, TreeType.of(tree_type(v).element, leaf_set.groups[k], extent))).results[0]
            for k, v in tree.parts.items()
        }
        return Tree(self, leaf_set, parts, dict(tree.dtypes), extent=extent)

    # Reductions

    def reduce_tree(self, tree: Tree, kind: Combiner = Combiner.ADD) -> Scalar:
        """Fold every value of a tree into one scalar, group after group."""
        total: Scalar | None = None
        for part in tree.parts.values():
            if isinstance(element_type(part.type), ComplexType):
                raise self.refusal("a fold of complex numbers over the tree is no number", tree_type(part).leaves)
            value = self.scalar(self.add(ReduceOp(kind, part, element_type(part.type))).results[0], weak=True)
            total = value if total is None else self.binary(kind.value, total, value)
        return self.number(0.0, default_float()) if total is None else total

    def reduce_leaves(self, tree: Tree, kind: Combiner = Combiner.ADD, extent: str = Extent.PER_LEAF) -> Tree:
        """Fold each leaf into one value, or into those of an axis extent; of complex values each part."""

        def folded(part: SSAValue) -> SSAValue:
            return self.add(ReduceOp(kind, part, tree_type(part).with_extent(extent))).results[0]

        for part in tree.parts.values():
            if kind is not Combiner.ADD and isinstance(element_type(part.type), ComplexType):
                raise self.refusal("complex numbers have no order", tree_type(part).leaves)
        parts = {k: self.by_parts(part, folded) for k, part in tree.parts.items()}
        return Tree(self, tree.leaf_set, parts, dict(tree.dtypes), extent=extent)

    def count(self, tree: Tree, extent: str) -> Tree:
        """How many elements each value of an extent stands for, per leaf; at least 1."""
        parts: dict[int, SSAValue] = {}
        for k, symbol in tree.leaf_set.groups.items():
            element = type_of(real_of(compute_dtype(tree.dtypes[k])))
            parts[k] = self.add(CountOp(extent, TreeType.of(element, symbol, Extent.PER_LEAF))).results[0]
        return Tree(self, tree.leaf_set, parts, dict(tree.dtypes), extent=Extent.PER_LEAF)

    def mean(self, tree: Tree, extent: str = Extent.PER_LEAF) -> Tree:
        """The mean over each leaf, or over the axes that an extent does not keep; 0 over no elements."""
        total = self.reduce_leaves(tree, extent=extent)
        folded = self.count(tree, extent)
        return total / (folded if tree.extent == Extent.ELEMENTS else folded / self.count(tree, tree.extent))

    def unpack(self, tree: Tree) -> list[Scalar]:
        """Every value of a tree of a few as a scalar, in tree order; the tree must be of one dtype."""
        (k, part), *_ = tree.parts.items()
        size = sum(leaf.size for leaf in self.leaf_sets.leaves(tree.leaf_set.groups[k]))
        values = self.add(UnpackOp(part, [tree_type(part).element] * size)).results
        return [Scalar(self, value, tree.dtypes[k], weak=False) for value in values]

    def pack(self, scalars: Sequence[Scalar], like: Tree) -> Tree:
        """Put scalars into a tree with the leaves and the dtype of another; the inverse of `unpack`."""
        (k, part), *_ = like.parts.items()
        type_ = tree_type(part)
        packed = self.add(PackOp([self.scalar_as(s, type_.element) for s in scalars], type_)).results[0]
        return Tree(self, like.leaf_set, {k: packed}, dict(like.dtypes))

    def global_norm(self, tree: Tree) -> Scalar:
        """The Euclidean norm of all elements together."""
        return self.sqrt(self.abs_sq(tree).sum())

    def norm_per_leaf(self, tree: Tree) -> Tree:
        """The Euclidean norm of each leaf."""
        return self.sqrt(self.abs_sq(tree).sum_per_leaf())

    # Random numbers

    def split_key(self, key: Key, part: int, total: int) -> Key:
        """One of the keys that `jax.random.split` makes."""
        return Key(self.add(SplitKeyOp(key.value, part, total)).results[0], key.implementation)

    def random_normal(self, key: Key, like: Tree, first: int = 0) -> Tree:
        """Standard normal numbers with the leaves and dtypes of a tree, as `jax.random.normal` draws them.

        The key is split into `first` keys, which are left to others, and one for each leaf, in tree order.
        """
        leaves = like.leaf_set.leaves
        part_of = {leaf: first + i for i, leaf in enumerate(leaves)}
        total = first + len(leaves)
        values: dict[int, SSAValue] = {}
        for k, symbol in like.leaf_set.groups.items():
            type_ = TreeType.of(type_of(like.dtypes[k]), symbol)
            parts = [part_of[leaf] for leaf in like.leaf_set.members[k]]
            values[k] = self.add(RandomOp(Distribution.NORMAL, key.value, parts, total, type_)).results[0]
        return self.load(like.leaf_set, values)
