"""The calling convention of a function, read from its module.

This file alone knows how arrays of the caller become arguments, and results become arrays of the caller. It reads the
slots of the function (`optim.slot`) and keeps nothing else, so a pass that changes them changes the convention.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from optcc.dialect import KeyType, Role, Slot, Storage, TreeType, argument_slots, leaf_set, result_slots
from optcc.dtypes import dtype_of
from optcc.errors import message
from optcc.program.storage import ALIGNMENT, TILE, Packing

ROLES = (Role.UPDATES, Role.PARAMS, Role.STATE, Role.EXTRA)
"""The order in which the caller's pytrees lie in a flat list of arrays, on the way in and on the way out."""


@dataclass(frozen=True)
class Binding:
    """One argument or result: its slot, and the arrays of the caller that it holds.

    `shapes` has the shape of each leaf; a scalar and a key have one leaf. `group` is the leaf set of a tree, `key` the
    implementation of a key of random numbers; both are empty otherwise.
    """

    slot: Slot
    places: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtype: np.dtype
    group: str = ""
    key: str = ""

    @cached_property
    def packing(self) -> Packing | None:
        """Where the leaves are in the one array that holds them, None if each has an array of its own."""
        return packing_of(self.slot.storage, self.shapes)

    @property
    def is_one_array(self) -> bool:
        """Whether the caller has one array for the whole binding."""
        return not self.group or self.packing is not None

    @cached_property
    def arrays(self) -> list[jax.ShapeDtypeStruct]:
        """Shape and dtype of each array of the caller, in the order of `places`; one if all are packed."""
        if self.key:
            return [jax.eval_shape(lambda: jax.random.key(0, impl=self.key))]
        if self.packing is not None:
            return [jax.ShapeDtypeStruct(self.packing.array_shape, self.dtype)]
        made: dict[tuple[int, ...], jax.ShapeDtypeStruct] = {}  # thousands of leaves have few shapes
        return [made.setdefault(s, jax.ShapeDtypeStruct(s, self.dtype)) for s in self.shapes]


def packing_of(storage: Storage, shapes: Sequence[tuple[int, ...]]) -> Packing | None:
    """Where arrays of some shapes are in the one array of a storage, None if each is an array of its own."""
    if storage is Storage.TREE:
        return None
    return Packing.of(shapes, TILE if storage is Storage.TILED else ALIGNMENT)


class Signature:
    """The arguments and results of a function as its caller sees them."""

    def __init__(self, function: FuncOp) -> None:
        types = function.function_type
        self.inputs = tuple(_bindings(function, argument_slots(function), types.inputs, "argument"))
        """The arguments, in the function's order."""
        self.outputs = tuple(_bindings(function, result_slots(function), types.outputs, "result"))
        """The results, in the function's order."""
        hypers = sorted((b for b in self.inputs if b.slot.role is Role.HYPER), key=lambda b: b.places)
        self.hypers = tuple(b.dtype for b in hypers)
        """The dtype of each number that the hyperparameters' function computes for this one."""

    # Hyperparameters

    @cached_property
    def hyper_dtypes(self) -> tuple[np.dtype, ...]:
        """The dtype of each array of hyperparameters: there is one for each dtype."""
        return tuple(dict.fromkeys(self.hypers))

    @cached_property
    def hyper_elements(self) -> tuple[tuple[int, int], ...]:
        """For each hyperparameter the array that it is in, and its place there."""
        sizes = dict.fromkeys(self.hyper_dtypes, 0)
        found: list[tuple[int, int]] = []
        for dtype in self.hypers:
            found.append((self.hyper_dtypes.index(dtype), sizes[dtype]))
            sizes[dtype] += 1
        return tuple(found)

    # Flat lists of arrays

    @cached_property
    def in_counts(self) -> dict[Role, int]:
        """How many arrays of each role the caller passes."""
        return {role: len(self.shapes(role)) for role in ROLES}

    def of_role(self, role: Role, *, results: bool = False) -> list[Binding]:
        """The arguments, or results, that one pytree of the caller is made of."""
        return [b for b in (self.outputs if results else self.inputs) if b.slot.role is role]

    def is_packed(self, role: Role) -> bool:
        """Whether the caller passes one array for each binding of a role, and not one for each leaf."""
        return _is_packed(self.of_role(role))

    def shapes(self, role: Role, *, results: bool = False) -> list[jax.ShapeDtypeStruct]:
        """Shapes and dtypes of the caller's arrays of a role, in their flat order."""
        bindings = self.of_role(role, results=results)
        return _flat(bindings, [b.arrays[0] if b.is_one_array else b.arrays for b in bindings])

    def arguments(self, arrays: Sequence[Any], element: Callable[[Any, int], Any]) -> list[Any]:
        """The arguments of the function, from the caller's flat arrays and then those of hyperparameters.

        A tree is the list of its leaves, or the one array that holds them; a hyperparameter is `element(array, place)`.
        """
        given: dict[Role, Sequence[Any]] = {}
        start = 0
        for role in ROLES:
            end = start + self.in_counts[role]
            given[role], start = arrays[start:end], end
        hypers = arrays[start:]
        next_array = {role: iter(given[role]) for role in ROLES if self.is_packed(role)}
        values: list[Any] = []
        for b in self.inputs:
            role = b.slot.role
            if role is Role.HYPER:
                k, i = self.hyper_elements[b.places[0]]
                values.append(element(hypers[k], i))
            elif role in next_array:
                values.append(next(next_array[role]))
            else:
                values.append(given[role][b.places[0]] if b.is_one_array else [given[role][i] for i in b.places])
        return values

    def results(self, values: Sequence[Any]) -> list[Any]:
        """The caller's flat arrays, from the results of the function; the inverse of `arguments`."""
        return [x for part in self.results_by_role(values).values() for x in part]

    def results_by_role(self, values: Sequence[Any]) -> dict[Role, list[Any]]:
        """The caller's arrays of each role, in their flat order."""
        found: dict[Role, list[Any]] = {}
        for role in ROLES:
            pairs = [(b, v) for b, v in zip(self.outputs, values, strict=True) if b.slot.role is role]
            found[role] = _flat([b for b, _ in pairs], [v for _, v in pairs])
        return found

    @cached_property
    def out_arrays(self) -> list[jax.ShapeDtypeStruct]:
        """Shapes and dtypes of the flat results."""
        return [x for role in ROLES for x in self.shapes(role, results=True)]

    def data_to_keys(self, arrays: Sequence[Any]) -> list[Any]:
        """Flat results with keys of random numbers in the place of their data."""
        if not any(b.key for b in self.outputs):
            return list(arrays)
        keys = self.results([b.key if b.is_one_array else [b.key] * len(b.places) for b in self.outputs])
        return [jax.random.wrap_key_data(x, impl=key) if key else x for x, key in zip(arrays, keys, strict=True)]


def _is_packed(bindings: Sequence[Binding]) -> bool:
    return any(b.packing is not None for b in bindings)


def _flat(bindings: Sequence[Binding], values: Sequence[Any]) -> list[Any]:
    """The values of bindings of one role in the caller's order."""
    if _is_packed(bindings):
        return list(values)
    flat: dict[int, Any] = {}
    for b, value in zip(bindings, values, strict=True):
        flat.update(zip(b.places, [value] if b.is_one_array else value, strict=True))
    return [flat[i] for i in sorted(flat)]


def _bindings(
    function: FuncOp, slots: Sequence[Slot | None], types: Iterable[Attribute], what: str
) -> Iterable[Binding]:
    for i, (slot, type_) in enumerate(zip(slots, types, strict=True)):
        if slot is None or slot.places is None:
            where = f"{what} {i} of @{function.sym_name.data}"
            fix = "give it a slot with places, such as {optim.slot = #optim.slot<state at [0]>}"
            raise ValueError(message("a function can be run only if each argument and result has a place", where, fix))
        if isinstance(type_, TreeType):
            leaves = leaf_set(function, type_.leaves)
            shapes = tuple(leaf.shape_of(type_.extent.data) for leaf in leaves)
            yield Binding(slot, slot.places, shapes, dtype_of(type_.element), group=type_.leaves.string_value())
        elif isinstance(type_, KeyType):
            yield Binding(slot, slot.places, ((),), np.dtype(np.uint32), key=type_.implementation.data)
        else:
            yield Binding(slot, slot.places, ((),), dtype_of(type_))


def names_of(bindings: Sequence[Binding], role: Role | None = None) -> list[str]:
    """A name for each binding: that of its slot, with the leaf set where several trees share one.

    With a `role` the names are those of that role: gradients are packed like the parameters.
    """
    slots = [b.slot if role is None else Slot(role, b.slot.path) for b in bindings]
    counts = Counter(slot.name for slot in slots)
    return [s.name if counts[s.name] == 1 else f"{s.name}/{b.group}" for s, b in zip(slots, bindings, strict=True)]
