"""Which arrays of a foreign state belong to the parameters' leaves, and to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from optcc.base import OptState
from optcc.dtypes import name_of
from optcc.program.arrays import PyTreeDef

Shape = tuple[int, ...]


@dataclass(frozen=True)
class ForeignSlot:
    """Arrays of one dtype that are one value: their places among the arrays of the state, and their path.

    `leaves` are the leaves of the parameters that they belong to, None for a number of the step, or for `other` arrays
    that belong to none. `per_leaf` if there is one number for each leaf.
    """

    path: tuple[str, ...]
    places: tuple[int, ...]
    leaves: tuple[int, ...] | None
    per_leaf: bool = False
    other: bool = False


def foreign_slots(
    state: OptState, structure: PyTreeDef, indices: Sequence[int], shapes: Sequence[Shape]
) -> list[ForeignSlot]:
    """The slots of a state, a pytree of shapes and dtypes.

    `structure` is the pytree of the parameters, `indices` has the number of each of its leaves, `shapes` their shapes.
    A part of the state with that structure, where a leaf may be left out, belongs to the parameters.
    """
    from optcc.program.arrays import path_name

    def fits(x: Any) -> bool:
        return _lanes(x, structure, shapes) is not None

    slots: list[ForeignSlot] = []
    others: list[int] = []
    place = 0
    for keys, part in jax.tree_util.tree_leaves_with_path(state, is_leaf=fits):
        path = tuple(path_name((key,)) for key in keys)
        lanes = _lanes(part, structure, shapes)
        if lanes is not None:
            slots += _of_leaves(path, place, lanes, indices, shapes)
            place += len(lanes)
            continue
        if part.shape == ():
            slots.append(ForeignSlot(path, (place,), None))
        else:
            others.append(place)
        place += 1
    if others:
        slots.append(ForeignSlot(("other",), tuple(others), None, other=True))
    return slots


def _lanes(part: Any, structure: PyTreeDef, shapes: Sequence[Shape]) -> dict[int, Any] | None:
    """The arrays of a part of a state by the leaf they belong to; None if it is not like the parameters."""
    below = _below(part, structure)
    if below is None or len(below) != len(shapes):
        return None
    found: dict[int, Any] = {}
    for i, x in enumerate(below):
        if jax.tree.structure(x).num_leaves == 0:
            continue
        if not hasattr(x, "shape") or not isinstance(x.dtype, np.dtype) or x.shape not in (shapes[i], ()):
            return None
        found[i] = x
    whole = all(x.shape == shapes[i] for i, x in found.items())
    return found if found and (whole or all(x.shape == () for x in found.values())) else None


def _below(part: Any, structure: PyTreeDef) -> Sequence[Any] | None:
    """What a part of a state has for each leaf, in the structure of the parameters or as a list."""
    try:
        return structure.flatten_up_to(part)
    except (ValueError, TypeError, KeyError):
        pass
    whole = type(part) in (list, tuple) and len(part) > 1 and all(hasattr(x, "shape") for x in part)
    return part if whole and any(x.shape for x in part) else None


def _of_leaves(
    path: tuple[str, ...], start: int, lanes: dict[int, Any], indices: Sequence[int], shapes: Sequence[Shape]
) -> list[ForeignSlot]:
    """A slot for each dtype."""
    per_leaf = any(x.shape != shapes[i] for i, x in lanes.items())
    by_dtype: dict[str, list[tuple[int, int]]] = {}
    for n, (i, x) in enumerate(lanes.items()):
        by_dtype.setdefault(name_of(x.dtype), []).append((start + n, indices[i]))
    return [
        ForeignSlot(path, tuple(p for p, _ in pairs), tuple(i for _, i in pairs), per_leaf=per_leaf)
        for pairs in by_dtype.values()
    ]
