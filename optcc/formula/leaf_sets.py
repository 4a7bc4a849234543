"""The leaf sets of a module that is being written: one symbol for each list of leaves, and their axis extents."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from typing import Any

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block

from optcc.base import PyTree
from optcc.dialect import Leaf, LeafTableAttr, LeavesOp
from optcc.formula.values import GroupedLeaves

Shape = tuple[int, ...]

Whole = tuple[tuple[Leaf, ...], Any, tuple[tuple[str, ...], ...]]
"""The leaves of a pytree, its structure, and what each leaf must have in common with those of its group."""

PARAMETERS = "all"
"""The leaf set of the parameters."""


class LeafSets:
    """Defines leaf sets in the block of a module, in front of the functions that use them."""

    def __init__(self, module_block: Block) -> None:
        self._block = module_block
        self._ops: dict[str, LeavesOp] = {}
        self._symbols: dict[tuple[Leaf, ...], str] = {}
        self._axes: dict[str, dict[Leaf, tuple[int, ...]]] = {}
        self._roots: dict[str, GroupedLeaves] = {}
        self._wholes: dict[str, Whole] = {}

    def root(
        self, name: str, structure: Any, leaves: Sequence[Leaf], signatures: Sequence[tuple[str, ...]]
    ) -> GroupedLeaves:
        """The leaf set of a whole pytree, in groups of leaves with one signature of dtypes.

        `name` stands for the pytree: a second call with the same name gives the same set.
        """
        if name not in self._roots:
            order = list(dict.fromkeys(signatures))
            groups: dict[int, str] = {}
            members: dict[int, tuple[int, ...]] = {}
            for k, key in enumerate(order):
                members[k] = tuple(i for i, s in enumerate(signatures) if s == key)
                suffix = "" if len(order) == 1 else f"_{'_'.join(dict.fromkeys(key))}"
                groups[k] = self.define(name + suffix, tuple(leaves[i] for i in members[k]))
            self._roots[name] = GroupedLeaves(name, structure, groups, members)
            self._wholes[name] = tuple(leaves), structure, tuple(signatures)
        return self._roots[name]

    def whole(self, name: str) -> Whole:
        """The leaves, structure and signatures with which the leaf set of a pytree was made in this function."""
        return self._wholes[name]

    def for_function(self) -> LeafSets:
        """The leaf sets of the same module for another function, which may group the leaves of a pytree otherwise."""
        other = copy(self)
        other._roots, other._wholes = {}, {}
        return other

    def leaves(self, symbol: str) -> tuple[Leaf, ...]:
        """The leaves of a leaf set of this module."""
        return self._ops[symbol].leaves

    def shapes(self, leaf_set: GroupedLeaves) -> list[Shape]:
        """The shape of every leaf of a set, in tree order."""
        return [leaf.shape for leaf in self._in_order(leaf_set)]

    def paths(self, leaf_set: GroupedLeaves) -> list[str]:
        """The path of every leaf of a set, in tree order."""
        return [leaf.path for leaf in self._in_order(leaf_set)]

    def _in_order(self, leaf_set: GroupedLeaves) -> list[Leaf]:
        found = {
            index: leaf
            for k, symbol in leaf_set.groups.items()
            for index, leaf in zip(leaf_set.members[k], self.leaves(symbol), strict=True)
        }
        return [found[index] for index in leaf_set.leaves]

    def define(self, name: str, leaves: tuple[Leaf, ...]) -> str:
        """The symbol of a leaf set with these leaves: one set, one symbol."""
        if leaves in self._symbols:
            return self._symbols[leaves]
        unique, n = name, 1
        while unique in self._ops:
            unique, n = f"{name}_{n}", n + 1
        self._ops[unique] = LeavesOp(unique, leaves)
        self._symbols[leaves] = unique
        functions = (op for op in self._block.ops if isinstance(op, FuncOp))
        self._block.insert_op_before(self._ops[unique], next(functions))
        return unique

    def restrict(
        self, root: GroupedLeaves, subset: GroupedLeaves, shapes: Mapping[int, Shape] | None = None, name: str = "on"
    ) -> GroupedLeaves:
        """The leaves of `subset`, a set of another module over the same pytree, in the groups of `root`.

        `shapes` are the shapes of the leaves, by index, where they may not be those of `root`.
        """
        chosen = set(subset.leaves)
        groups: dict[int, str] = {}
        members: dict[int, tuple[int, ...]] = {}
        for k, symbol in root.groups.items():
            kept = [(i, leaf) for i, leaf in zip(root.members[k], self.leaves(symbol), strict=True) if i in chosen]
            if kept:
                members[k] = tuple(i for i, _ in kept)
                leaves = tuple(leaf if shapes is None else _with_shape(leaf, shapes[i]) for i, leaf in kept)
                groups[k] = self.define(f"{symbol}_{name}", leaves)
        return GroupedLeaves(root.root, subset.structure, groups, members)

    def subset(self, old: GroupedLeaves, leaves: Collection[int]) -> GroupedLeaves:
        """Some leaves of a set; the set itself if they are all."""
        if len(leaves) == len(old.leaves):
            return old
        chosen = set(leaves)
        return self.partition(old, [i in chosen for i in old.leaves])[0]

    def reshaped(self, old: GroupedLeaves, name: str, shape_of: Callable[[Shape], Shape]) -> GroupedLeaves:
        """The same leaves with other shapes, for an array that a state keeps of each."""
        groups: dict[int, str] = {}
        for k, symbol in old.groups.items():
            leaves = tuple(_with_shape(leaf, shape_of(leaf.shape)) for leaf in self.leaves(symbol))
            groups[k] = self.define(f"{symbol}_{name}", leaves)
        return GroupedLeaves(old.root, old.structure, groups, dict(old.members))

    def partition(
        self, old: GroupedLeaves, selected: Sequence[bool], structures: tuple[PyTree, PyTree] | None = None
    ) -> tuple[GroupedLeaves, GroupedLeaves]:
        """The leaves selected, in tree order, and the rest, with the structures given.

        Without them both have that of the whole, which is enough for sides that only their join leaves.
        """
        structures = structures or (old.structure, old.structure)
        chosen = set(itertools.compress(old.leaves, selected))
        sides: list[GroupedLeaves] = []
        for take, suffix, structure in zip((True, False), ("on", "off"), structures, strict=True):
            groups: dict[int, str] = {}
            members: dict[int, tuple[int, ...]] = {}
            for k, symbol in old.groups.items():
                mask = [(i in chosen) is take for i in old.members[k]]
                if any(mask):
                    members[k] = tuple(itertools.compress(old.members[k], mask))
                    leaves = tuple(itertools.compress(self.leaves(symbol), mask))
                    groups[k] = self.define(f"{symbol}_{suffix}", leaves)
            sides.append(GroupedLeaves(old.root, structure, groups, members))
        return sides[0], sides[1]

    def declare_axes(
        self, name: str, leaf_set: GroupedLeaves, kept: Callable[[Shape], Sequence[int]] | Mapping[int, Sequence[int]]
    ) -> str:
        """An axis extent of the leaves of a set: which axes it keeps, from the shape of a leaf, or by its index.

        The extent is called `name`, with a number if the leaves have another extent of that name.
        """
        wanted = {
            leaf: tuple(kept(leaf.shape) if callable(kept) else kept[index])
            for k, symbol in leaf_set.groups.items()
            for index, leaf in zip(leaf_set.members[k], self.leaves(symbol), strict=True)
        }
        for unique in itertools.chain([name], (f"{name}_{n}" for n in itertools.count(1))):
            known = self._axes.setdefault(unique, {})
            if all(known.get(leaf, axes) == axes for leaf, axes in wanted.items()):
                known.update(wanted)
                return unique
        raise AssertionError

    def kept_axes(self, name: str, leaf: Leaf) -> tuple[int, ...]:
        """The axes that an axis extent keeps of a leaf."""
        return self._axes[name][leaf]

    def finish(self) -> None:
        """Write the axis extents into the leaf sets. Until then a leaf is known by its path and shape."""
        for op in self._ops.values():
            op.table = LeafTableAttr(tuple(self._with_axes(leaf) for leaf in op.leaves))

    def _with_axes(self, leaf: Leaf) -> Leaf:
        axes = tuple((name, known[leaf]) for name, known in self._axes.items() if leaf in known)
        return Leaf(leaf.path, leaf.shape, axes) if axes else leaf


def _with_shape(leaf: Leaf, shape: Shape) -> Leaf:
    """The leaf with another shape, and itself with its own: what one has thousands of is not made anew."""
    return leaf if leaf.shape == shape else Leaf(leaf.path, shape)
