"""Folds over the leaves of a tree that keep something of each: the norm of every example, say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optcc.dialect import Leaf
from optcc.formula.values import GroupedLeaves, Tree

if TYPE_CHECKING:
    from optcc.formula.builder import Builder


def sum_over_leaves(b: Builder, tree: Tree, size: int) -> Tree:
    """The sum of values that have `size` elements in every leaf, as a tree of one leaf of that size."""
    target = b.leaf_sets.root(b.symbol_name("sum"), None, [Leaf("sum", (size,))], [("sum",)])
    total: Tree | None = None
    for k in tree.parts:
        stack = _stack(b, tree, k, size)
        stacked = b.reshape(_group(b, tree, k), stack)
        part = b.reshape(b.reduce_leaves(stacked, extent=_columns(b, stack)), target)
        total = part if total is None else total + part
    assert total is not None
    return total


def spread_over_leaves(b: Builder, value: Tree, like: Tree, size: int) -> Tree:
    """A value of one leaf, as `sum_over_leaves` makes it, in every leaf of a tree like the one that was summed."""
    parts = {}
    for k in like.parts:
        stack = _stack(b, like, k, size)
        rows = b.reshape(value, stack, _columns(b, stack)) + b.full(stack, 0.0, dict(value.dtypes))
        group = _group(b, like, k)
        parts[k] = b.reshape(rows, group.leaf_set, like.extent).parts[0]
    return Tree(b, like.leaf_set, parts, dict.fromkeys(parts, value.dtypes[0]), extent=like.extent)


def _stack(b: Builder, tree: Tree, k: int, size: int) -> GroupedLeaves:
    """A leaf with one row for each leaf of a group."""
    rows = len(tree.leaf_set.members[k])
    return b.leaf_sets.root(b.symbol_name(f"stack_{k}"), None, [Leaf("stack", (rows, size))], [("stack",)])


def _columns(b: Builder, stack: GroupedLeaves) -> str:
    return b.axes("columns", stack, lambda shape: [1])


def _group(b: Builder, tree: Tree, k: int) -> Tree:
    """One dtype group of a tree, alone."""
    old = tree.leaf_set
    alone = GroupedLeaves(old.root, old.structure, {0: old.groups[k]}, {0: old.members[k]})
    return Tree(b, alone, {0: tree.parts[k]}, {0: tree.dtypes[k]}, extent=tree.extent)
