"""Init/update pairs that optcc did not define: imported into the IR, or called where they cannot be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from optcc import base
from optcc.base import PyTree
from optcc.dtypes import name_of
from optcc.errors import message
from optcc.formula.definition import Definition
from optcc.formula.values import GroupedLeaves, Scalar, Scattered, Tree
from optcc.importers.flat_jaxprs import FlatJaxpr, trace
from optcc.importers.states import ForeignSlot, foreign_slots

if TYPE_CHECKING:
    from optcc.formula.builder import Builder

Result = tuple[GroupedLeaves, dict[int, np.dtype], str] | np.dtype
"""What a function returns: a tree, by its leaf set, dtypes and extent, or a number."""


def foreign_definition(
    tx: Any, remake: Callable[..., Any] | None = None, arguments: Sequence[Scalar] = (), opaque: str = ""
) -> Definition:
    """A definition of a pair's own functions: imported where the IR has all they do, else called.

    If the pair depends on scalars of the program, `remake` makes it from their arrays, in every call. `opaque` is a
    reason not to import its update.
    Raises TypeError if `tx` has no callable `init` and `update`.
    """
    if not callable(getattr(tx, "init", None)) or not callable(getattr(tx, "update", None)):
        raise TypeError(
            message(
                f"a gradient transformation is an init/update pair, got {type(tx).__name__}: {tx!r}",
                fix="pass for instance optcc.adam(1e-3); a schedule belongs in scale_by_schedule",
            )
        )
    # Optax's own extra-args class cannot be named here, so any class of that name counts.
    extra = any(cls.__name__ == "GradientTransformationExtraArgs" for cls in type(tx).__mro__)
    pair = _ForeignPair(tx, remake, tuple(arguments), extra, opaque)
    return Definition(f"foreign({type(tx).__name__})", pair.init, pair.update, uses_extra_args=extra)


@dataclass(frozen=True, eq=False)
class _ForeignPair:
    tx: Any
    remake: Callable[..., Any] | None
    scalars: tuple[Scalar, ...]
    takes_extra: bool
    opaque: str

    def _pair(self, values: Sequence[Any]) -> Any:
        return self.tx if self.remake is None else self.remake(*values)

    @property
    def _scalar_shapes(self) -> list[jax.ShapeDtypeStruct]:
        return [jax.ShapeDtypeStruct((), s.array_dtype) for s in self.scalars]

    def init(self, b: Builder, params: Tree) -> Scattered:
        """The initial state."""
        structure = params.leaf_set.structure
        flat = trace(lambda p, *v: self._pair(v).init(p), as_shapes(b, params), *self._scalar_shapes)
        shapes = flat.result
        slots = _slots(b, params, shapes)
        flat.outputs = [flat.outputs[i] for slot in slots for i in slot.places]
        arrays = jax.tree.leaves(shapes)
        results = [_result(b, params.leaf_set, slot, arrays) for slot in slots]

        def call(leaves: Sequence[Any], *values: Any) -> list[Any]:
            return _gather(jax.tree.leaves(self._pair(values).init(jax.tree.unflatten(structure, leaves))), slots)

        made = call_or_import(b, "init", call, flat, [params, *self.scalars], results)
        paths = tuple(slot.path for slot in slots)
        return Scattered(jax.tree.structure(shapes), tuple(made), tuple(slot.places for slot in slots), paths)

    def update(self, b: Builder, updates: Tree, state: Scattered, params: Tree | None) -> tuple[Tree, Scattered]:
        """The new updates and the new state."""
        extras: Mapping[str, Tree] = (b.extra_args or {}) if self.takes_extra else {}
        functions = b.extra_functions if self.takes_extra else {}
        numbers = [_as_number(b, tree) for tree in extras.values()]
        given = [updates, *([] if params is None else [params]), *numbers]
        operands = [*given, *state.values, *self.scalars]

        def call(*arrays: Any) -> list[Any]:
            trees = [_unflattened(t, a) for t, a in zip(given, arrays, strict=False)]
            olds = arrays[len(given) : len(given) + len(state.values)]
            old_state = _scatter(state, olds)
            new_updates, new_state = self._pair(arrays[len(given) + len(state.values) :]).update(
                trees[0],
                old_state,
                None if params is None else trees[1],
                **dict(zip(extras, trees[len(trees) - len(extras) :], strict=True)),
                **functions,
            )
            # A state whose dtypes drift, as a bfloat16 one may that meets float32 updates, could not be kept in place.
            pairs = zip(jax.tree.leaves(new_state), jax.tree.leaves(old_state), strict=True)
            kept = [new.astype(old.dtype) if new.dtype != old.dtype else new for new, old in map(_as_arrays, pairs)]
            return [jax.tree.leaves(new_updates), *_gather(kept, _layout(state))]

        flat = trace(call, *[_shapes_of(b, x) for x in operands])
        dtypes = {k: flat.result[0][_position(updates, k)].dtype for k in updates.parts}
        results: list[Result] = [(updates.leaf_set, dtypes, updates.extent), *map(_result_like, state.values)]
        why = "it is given functions" if functions else self.opaque
        new_updates, *new = call_or_import(b, "update", call, flat, operands, results, why=why)
        return new_updates, replace(state, values=tuple(new))


def _as_number(b: Builder, tree: Tree) -> Tree | Scalar:
    """An extra argument that is one 0-d array as a number of the step; other ones as they are."""
    is_one = tree.leaf_set.structure == jax.tree.structure(0) and b.leaf_sets.shapes(tree.leaf_set) == [()]
    return b.unpack(tree)[0] if is_one else tree


def _unflattened(value: Tree | Scalar, arrays: Any) -> Any:
    return arrays if isinstance(value, Scalar) else jax.tree.unflatten(value.leaf_set.structure, arrays)


def call_or_import(
    b: Builder,
    name: str,
    function: Callable[..., Any],
    flat: FlatJaxpr,
    operands: Sequence[Tree | Scalar],
    results: Sequence[Result],
    why: str = "",
) -> list[Any]:
    """The results of a function, whose trace is `flat`, as ops over the leaves of its first operand.

    Where the IR has not all it does, or `why` is not empty, they are those of an opaque call.
    """
    from optcc.importers.import_function import import_function
    from optcc.importers.primitives import NotImportedError

    first = operands[0]
    assert isinstance(first, Tree)
    if flat.effects:
        why = f"it has effects besides its results: {flat.effects}"
    if not why:
        try:
            return import_function(b, flat, operands, results, first.leaf_set, name)
        except NotImportedError as error:
            why = str(error)
    plain = [_to_arrays(b, x) if isinstance(x, Tree) else x for x in operands]
    asked = [r if isinstance(r, np.dtype) else (_arrays_set(b, r[0], r[2]), r[1]) for r in results]
    found = b.call(name, function, plain, asked, why=why)
    return [x if isinstance(r, np.dtype) else _from_arrays(b, x, r) for x, r in zip(found, results, strict=True)]


def _arrays_set(b: Builder, leaf_set: GroupedLeaves, extent: str) -> GroupedLeaves:
    """The leaf set of the arrays of a tree: an opaque function is given one number for each leaf as 0-d arrays."""
    return leaf_set if extent == b.ELEMENTS else b.leaf_sets.reshaped(leaf_set, "numbers", lambda _: ())


def _to_arrays(b: Builder, tree: Tree) -> Tree:
    return tree if tree.extent == b.ELEMENTS else b.reshape(tree, _arrays_set(b, tree.leaf_set, tree.extent))


def _from_arrays(b: Builder, tree: Tree, result: Any) -> Tree:
    leaf_set, _, extent = result
    return tree if extent == b.ELEMENTS else b.reshape(tree, leaf_set, extent)


def _slots(b: Builder, params: Tree, shapes: PyTree) -> list[ForeignSlot]:
    leaf_set = params.leaf_set
    return foreign_slots(shapes, leaf_set.structure, leaf_set.leaves, b.leaf_sets.shapes(leaf_set))


def _result(b: Builder, like: GroupedLeaves, slot: ForeignSlot, arrays: Sequence[jax.Array]) -> Result:
    _check_no_keys([arrays[i] for i in slot.places], slot)
    dtype = np.dtype(arrays[slot.places[0]].dtype)
    if slot.other:
        leaf_set, dtypes = opaque_leaf_set(b, "state", [arrays[i] for i in slot.places])
        return leaf_set, dtypes, b.ELEMENTS
    if slot.leaves is None:
        return dtype
    leaf_set = b.leaf_sets.subset(like, slot.leaves)
    return leaf_set, dict.fromkeys(leaf_set.groups, dtype), b.PER_LEAF if slot.per_leaf else b.ELEMENTS


def _check_no_keys(arrays: Sequence[jax.Array], slot: ForeignSlot) -> None:
    """Raises TypeError for typed keys."""
    for array in arrays:
        if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key):
            text = f"the state of a transformation of another library has a typed random key, {array.dtype}"
            fix = "keep jax.random.key_data of it, or use optcc's transformation of that name"
            raise TypeError(message(text, ".".join(slot.path) or "its state", fix))


def _result_like(value: Tree | Scalar) -> Result:
    if isinstance(value, Scalar):
        return np.dtype(value.array_dtype)
    return value.leaf_set, dict(value.dtypes), value.extent


def _layout(state: Scattered) -> list[ForeignSlot]:
    """Where the arrays of each value are: those of a tree are a list."""
    return [
        ForeignSlot(path, places, () if isinstance(value, Tree) else None)
        for value, places, path in zip(state.values, state.places, state.paths, strict=True)
    ]


def _gather(leaves: Sequence[Any], slots: Sequence[ForeignSlot]) -> list[Any]:
    """The arrays of a state, slot by slot."""
    return [
        jax.numpy.asarray(leaves[slot.places[0]])
        if slot.leaves is None and not slot.other
        else [leaves[i] for i in slot.places]
        for slot in slots
    ]


def _scatter(state: Scattered, parts: Sequence[Any]) -> Any:
    """A state from the arrays of its values; the inverse of `_gather`."""
    placed: dict[int, Any] = {}
    for value, places, part in zip(state.values, state.places, parts, strict=True):
        placed.update(zip(places, part if isinstance(value, Tree) else [part], strict=True))
    return jax.tree.unflatten(state.structure, [placed[i] for i in range(len(placed))])


def _as_arrays(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    new, old = pair
    return jax.numpy.asarray(new), old


def _shapes_of(b: Builder, value: Tree | Scalar) -> Any:
    return b.shapes(value) if isinstance(value, Tree) else jax.ShapeDtypeStruct((), value.array_dtype)


def as_shapes(b: Builder, tree: Tree) -> base.PyTree:
    """The pytree of shapes and dtypes of a tree."""
    return jax.tree.unflatten(tree.leaf_set.structure, b.shapes(tree))


def opaque_leaf_set(b: Builder, name: str, shapes: base.PyTree) -> tuple[GroupedLeaves, dict[int, np.dtype]]:
    """A leaf set of its own for a pytree of arrays, grouped by dtype, and the dtype of each group."""
    from optcc.program.arrays import leaf_table

    structure = jax.tree.structure(shapes)
    table = leaf_table(shapes)
    dtypes = [np.dtype(s.dtype) for s in jax.tree.leaves(shapes)]
    leaf_set = b.leaf_sets.root(b.symbol_name(name), structure, table, [(name_of(d),) for d in dtypes])
    return leaf_set, {k: dtypes[members[0]] for k, members in leaf_set.members.items()}


def _position(tree: Tree, group: int) -> int:
    """Where the first leaf of a group stands among the leaves of a tree."""
    return tree.leaf_set.leaves.index(tree.leaf_set.members[group][0])
