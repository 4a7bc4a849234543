"""Which leaves are computed alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from optcc.formula.values import GroupedLeaves
from optcc.importers.terms import Rolled

if TYPE_CHECKING:
    from optcc.formula.builder import Builder


@dataclass(frozen=True, eq=False)
class LeafClass:
    """Leaves of one group that are computed alike, as a leaf set."""

    group: int
    members: tuple[int, ...]
    symbol: str


def classes_of(b: Builder, leaf_set: GroupedLeaves, rolled: Rolled) -> list[LeafClass]:
    """The leaves of a set by the terms of their outputs, and by how folds over leaves take them in."""
    keys: dict[int, list[int]] = {leaf: [] for leaf in leaf_set.leaves}
    for terms in rolled.trees.values():
        for leaf, key in keys.items():
            key.append(terms[leaf].number if leaf in terms else -1)
    for fold in rolled.folds:
        for leaf, term in zip(fold.parameter[1], fold.operands, strict=True):
            if leaf is not None:
                keys[leaf] += [fold.number, term.number]
    classes: list[LeafClass] = []
    for k, symbol in leaf_set.groups.items():
        found: dict[tuple[int, ...], list[int]] = {}
        for leaf in leaf_set.members[k]:
            found.setdefault(tuple(keys[leaf]), []).append(leaf)
        leaves = dict(zip(leaf_set.members[k], b.leaf_sets.leaves(symbol), strict=True))
        for n, members in enumerate(found.values()):
            own = symbol if len(found) == 1 else f"{symbol}_{n}"
            name = b.leaf_sets.define(own, tuple(leaves[i] for i in members))
            classes.append(LeafClass(k, tuple(members), name))
    return classes
