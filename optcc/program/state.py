"""Which part of a state is which value of the IR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import jax

from optcc.base import OptState
from optcc.formula.values import GroupedLeaves, Key, Scalar, Scattered, Tree, Zipped
from optcc.program.arrays import PyTreeDef, path_name

Value = Tree | Scalar | Key


@dataclass(frozen=True)
class StateSlot:
    """One value of a state: the path to it, and where its arrays are among the leaves of the state."""

    path: tuple[str, ...]
    value: Value
    positions: tuple[int, ...]


class StateLayout:
    """The layout of a state, a pytree of builder values as a definition's `init` or `update` makes it."""

    def __init__(self, state: OptState) -> None:
        pairs, self.structure = jax.tree_util.tree_flatten_with_path(state, is_leaf=_is_value)
        self._values = [value for _, value in pairs]
        named: list[tuple[tuple[str, ...], Value]] = []
        for keys, value in pairs:
            path = tuple(path_name((key,)) for key in keys)
            if isinstance(value, Zipped):
                named += [((*path, str(i)), tree) for i, tree in enumerate(value.values)]
            elif isinstance(value, Scattered):
                named += [((*path, *inner), one) for inner, one in zip(value.paths, value.values, strict=True)]
            else:
                named.append((path, value))
        # Numbers in the place of arrays show where each array comes to stand.
        numbers: list[list[int]] = []
        for _, value in named:
            start = sum(map(len, numbers))
            size = len(value.leaf_set.leaves) if isinstance(value, Tree) else 1
            numbers.append(list(range(start, start + size)))
        place = {number: i for i, number in enumerate(jax.tree.leaves(self.fill(numbers)))}
        self.slots = tuple(
            StateSlot(path, value, tuple(place[n] for n in ns))
            for (path, value), ns in zip(named, numbers, strict=True)
        )

    @cached_property
    def leaf_structure(self) -> PyTreeDef:
        """The pytree of the state's arrays."""
        return jax.tree.structure(self.fill([[0] * len(slot.positions) for slot in self.slots]))

    def arrays(self, state: OptState) -> list[list[Any]]:
        """The arrays of each slot, from a state of this structure."""
        leaves = jax.tree.leaves(state)
        return [[leaves[i] for i in slot.positions] for slot in self.slots]

    def fill_values(self, values: Sequence[Value]) -> Any:
        """A state of builder values, one for each slot."""
        rest = iter(values)

        def fill(value: Any) -> Any:
            if isinstance(value, Zipped | Scattered):
                return value.with_values(islice(rest, len(value.values)))
            return next(rest)

        return jax.tree.unflatten(self.structure, [fill(value) for value in self._values])

    def fill(self, parts: Sequence[Sequence[Any]]) -> Any:
        """A state with `parts` as the arrays of its slots; the inverse of `arrays`."""
        rest = iter(parts)
        return jax.tree.unflatten(self.structure, [_fill(value, rest) for value in self._values])


def _fill(value: Any, parts: Any) -> Any:
    if isinstance(value, Zipped):
        lists: dict[int, list[Any]] = {leaf: [] for leaf in value.whole.leaves}
        for tree in value.values:
            for leaf, array in zip(tree.leaf_set.leaves, next(parts), strict=True):
                lists[leaf].append(array)
        return _unflatten(value.whole, list(lists.values()))
    if isinstance(value, Scattered):
        placed: dict[int, Any] = {}
        for places in value.places:
            placed.update(zip(places, next(parts), strict=True))
        return jax.tree.unflatten(value.structure, [placed[i] for i in range(len(placed))])
    part = next(parts)
    return _unflatten(value.leaf_set, part) if isinstance(value, Tree) else part[0]


def _unflatten(leaf_set: GroupedLeaves, leaves: Sequence[Any]) -> Any:
    return jax.tree.unflatten(leaf_set.structure, leaves)


def _is_value(x: object) -> bool:
    return isinstance(x, Tree | Scalar | Key | Zipped | Scattered)
