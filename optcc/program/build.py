"""Builds the functions of a definition, `@init` and `@update`, for given shapes and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optcc.base import LookaheadParams, OptState, Params, PyTree, Updates
from optcc.dialect import Extent, Role, Slot
from optcc.dtypes import name_of
from optcc.errors import message
from optcc.formula.builder import Builder
from optcc.formula.definition import Definition
from optcc.formula.folds import MixedGroupError
from optcc.formula.leaf_sets import PARAMETERS
from optcc.formula.values import GroupedLeaves, Key, Scalar, Tree
from optcc.program.arrays import leaf_table
from optcc.program.program import INIT, UPDATE, Program
from optcc.program.state import StateLayout, StateSlot, Value
from optcc.program.writers import FunctionWriter, ModuleWriter, by_group

Signatures = list[tuple[str, ...]]
"""For each leaf of a pytree what the leaves of its group have in common."""
Apart = tuple[frozenset[int], ...]
"""Sets of leaves that share no group with the rest."""


def fast_of(params: Params) -> Any:
    """The parameters that gradients are taken with respect to: the fast ones of `LookaheadParams`."""
    return params.fast if isinstance(params, LookaheadParams) else params


def params_like(definition: Definition, updates: Updates) -> Any:
    """The shapes of the parameters that go with updates: without the axis of examples, if there is one."""
    if not takes_examples(definition):
        return updates
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), updates)


def grads_like(definition: Definition, params: Params, examples: int) -> Any:
    """The shapes of the gradients that go with parameters; the inverse of `params_like`."""
    like = fast_of(params)
    if not takes_examples(definition):
        return like
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((examples, *x.shape), x.dtype), like)


def takes_examples(definition: Definition) -> bool:
    """Whether the updates of a transformation, the first of a chain, have an axis of examples."""
    return definition.takes_examples or any(takes_examples(child) for child in definition.children[:1])


def build_init(
    definition: Definition, params: Params, within: ModuleWriter | None = None, signatures: Signatures | None = None
) -> tuple[Program, StateLayout]:
    """A program with `@init`, which makes the initial state, and the layout of that state.

    `params` is a pytree of shapes and dtypes; `signatures` says which leaves share a group, by default those of one
    dtype. Raises TypeError for a leaf that is neither float nor complex.
    """
    f = FunctionWriter(INIT, definition, within or ModuleWriter())
    like = fast_of(params)
    dtypes = _check_floats(like, "parameter")
    signatures = signatures or [(name_of(d),) for d in dtypes]
    root = f.builder.leaf_sets.root(PARAMETERS, jax.tree.structure(like), leaf_table(like), signatures)
    state = f.builder.initialize(None, definition, f.params_argument(params, root, by_group(root, dtypes)))
    layout = StateLayout(state)
    for slot in layout.slots:
        f.result(Role.STATE, slot.path, slot.value, slot.positions)
    f.finish()
    structures = {Role.PARAMS: jax.tree.structure(params), Role.STATE: layout.leaf_structure}
    return f.module.program(structures, {}), layout


def build_update(
    definition: Definition,
    layout: StateLayout,
    updates: Updates,
    state: OptState,
    params: Params | None = None,
    extra_args: PyTree | None = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Program:
    """A program with `@update`, which transforms updates.

    All but `layout` are pytrees of shapes and dtypes, and `state` has that layout; `functions` are those extra
    arguments that are no arrays. Raises TypeError for a gradient that is neither float nor complex.
    """
    given = _Given(definition, layout, updates, state, params, extra_args, functions or {})
    return _with_groups_apart(lambda apart: _build_update(given, apart, ModuleWriter()))


def build_program(
    definition: Definition, params: Params, updates: Updates, extra_args: PyTree | None = None
) -> Program:
    """A program with `@init` and `@update` for parameters, gradients and extra arguments, pytrees of shapes and dtypes.

    In both functions the same leaves form a group, so that a pass finds each slot of the state in both.
    """

    def build(apart: Apart) -> Program:
        module = ModuleWriter()
        init, layout = build_init(definition, params, module)
        state = init.init.shapes(Role.STATE, results=True)
        given = _Given(definition, layout, updates, state, params, extra_args, {})
        signatures = _all_signatures(given, apart)
        if _groups(signatures) != _groups([(name_of(np.dtype(x.dtype)),) for x in jax.tree.leaves(fast_of(params))]):
            # A state of several dtypes parts the leaves further than the parameters do.
            module = ModuleWriter()
            build_init(definition, params, module, signatures)
        return _build_update(given, apart, module)

    return _with_groups_apart(build)


def _with_groups_apart(build: Callable[[Apart], Program]) -> Program:
    """Build with as few groups as possible: a join tells which leaves cannot be in one."""
    apart: Apart = ()
    while True:
        try:
            return build(apart)
        except MixedGroupError as error:
            apart = (*apart, error.leaves)


@dataclass(frozen=True)
class _Given:
    """What an update is built for: a definition, the layout of its state, and pytrees of shapes and dtypes."""

    definition: Definition
    layout: StateLayout
    updates: Any
    state: Any
    params: Any | None
    extra_args: Any | None
    functions: Mapping[str, Callable[..., Any]]

    @property
    def like(self) -> Any:
        """The pytree that the leaf set of the parameters stands for."""
        return params_like(self.definition, self.updates) if self.params is None else fast_of(self.params)


def _all_signatures(given: _Given, apart: Apart) -> Signatures:
    """What the leaves of a group have in common: the dtypes of gradient, parameter and state, the sides of `apart`."""
    grads = _check_floats(given.updates, "gradient")
    weights = grads if given.params is None else _check_floats(fast_of(given.params), "parameter")
    arrays = given.layout.arrays(given.state)
    return [
        (*signature, *(("off", "on")[i in side] for side in apart))
        for i, signature in enumerate(_signatures(PARAMETERS, [grads, weights], given.layout, arrays))
    ]


def _groups(signatures: Signatures) -> list[int]:
    """For each leaf the number of its group."""
    numbers: dict[tuple[str, ...], int] = {}
    return [numbers.setdefault(signature, len(numbers)) for signature in signatures]


def _build_update(given: _Given, apart: Apart, module: ModuleWriter) -> Program:
    """As `build_update`, into a module; leaves inside and outside each set of `apart` are put into different groups."""
    definition, layout, updates, params = given.definition, given.layout, given.updates, given.params
    f = FunctionWriter(UPDATE, definition, module)
    b = f.builder
    like, signatures = given.like, _all_signatures(given, apart)
    root = b.leaf_sets.root(PARAMETERS, jax.tree.structure(like), leaf_table(like), signatures)
    shapes = dict(enumerate(tuple(x.shape) for x in jax.tree.leaves(updates)))
    dtypes = [np.dtype(x.dtype) for x in jax.tree.leaves(updates)]
    gradients = f.tree_argument(Slot(Role.UPDATES), b.leaf_sets.restrict(root, root, shapes), by_group(root, dtypes))
    arrays = layout.arrays(given.state)
    pairs = [_state_argument(f, layout, arrays, slot, p, root) for slot, p in zip(layout.slots, arrays, strict=True)]
    old_state = layout.fill_values([value for value, _ in pairs])
    weights = [np.dtype(x.dtype) for x in jax.tree.leaves(fast_of(params))]
    tree = None if params is None else f.params_argument(params, root, by_group(root, weights))
    b.extra_args, b.extra_functions = f.extra_arguments(given.extra_args), given.functions
    new_updates, new_state = b.apply(None, definition, gradients, old_state, tree)
    new = StateLayout(new_state)
    if new.structure != layout.structure:
        raise TypeError(
            f"{definition.name}: update returns a state of structure {new.structure}, init one of {layout.structure}"
        )
    returned = f.updates_result(new_updates, root)
    for slot, value, (_, stored) in zip(layout.slots, new.slots, pairs, strict=True):
        f.result(Role.STATE, slot.path, value.value, slot.positions, stored)
    f.finish()
    trees = {Role.UPDATES: updates, Role.STATE: given.state, Role.PARAMS: params, Role.EXTRA: given.extra_args}
    structures = {role: jax.tree.structure(tree) for role, tree in trees.items()}
    return module.program(structures, {Role.UPDATES: returned})


def _state_argument(
    f: FunctionWriter,
    layout: StateLayout,
    arrays: Sequence[Sequence[jax.Array]],
    slot: StateSlot,
    part: Sequence[jax.Array],
    root: GroupedLeaves,
) -> tuple[Value, Any]:
    """The argument for one slot of the state, and the dtypes that it is stored in."""
    b, old = f.builder, slot.value
    if isinstance(old, Key):
        return f.key_argument(slot, old.implementation), None
    if isinstance(old, Scalar):
        dtype = np.dtype(part[0].dtype)
        return f.scalar_argument(slot, dtype), dtype
    field = slot.path[-1] if slot.path else ""
    if old.leaf_set.root != PARAMETERS:
        root = _root_of_init(b, old, layout, arrays)
    own = old.extent == Extent.ELEMENTS
    shapes = {i: tuple(x.shape) for i, x in zip(old.leaf_set.leaves, part, strict=True)} if own else None
    leaf_set = b.leaf_sets.restrict(root, old.leaf_set, shapes, field if own else "on")
    dtypes = by_group(leaf_set, [np.dtype(x.dtype) for x in part])
    where = Slot(Role.STATE, slot.path)
    return f.tree_argument(where, leaf_set, dtypes, extent=old.extent, places=slot.positions), dtypes


def _root_of_init(b: Builder, old: Tree, layout: StateLayout, arrays: Sequence[Sequence[jax.Array]]) -> GroupedLeaves:
    """The whole leaf set that a slot is over, where that is not the parameters': its leaves are those that init made.

    The state alone does not tell them: it may have none of them, or one number for each.
    """
    name, made = old.leaf_set.root, old.builder.leaf_sets
    leaves, structure, signatures = made.whole(name)
    stored = _dtypes_of_leaves(name, layout, arrays)
    both = [(*signature, *stored.get(i, ())) for i, signature in enumerate(signatures)]
    return b.leaf_sets.root(name, structure, leaves, both)


def _signatures(
    root: str, dtypes: Sequence[Sequence[np.dtype]], layout: StateLayout, arrays: Sequence[Sequence[jax.Array]]
) -> list[tuple[str, ...]]:
    """What the leaves of a pytree must share to be in one group: the dtypes given, and those of every state slot."""
    stored = _dtypes_of_leaves(root, layout, arrays)
    given = [tuple(map(name_of, names)) for names in zip(*dtypes, strict=True)]
    return [(*names, *stored.get(i, ())) for i, names in enumerate(given)]


def _dtypes_of_leaves(root: str, layout: StateLayout, arrays: Sequence[Sequence[jax.Array]]) -> dict[int, list[str]]:
    """For each leaf of a pytree, by its number, the dtypes of what the state keeps of it."""
    found: dict[int, list[str]] = {}
    for slot, part in zip(layout.slots, arrays, strict=True):
        if isinstance(slot.value, Tree) and slot.value.leaf_set.root == root:
            for leaf, array in zip(slot.value.leaf_set.leaves, part, strict=True):
                found.setdefault(leaf, []).append(name_of(np.dtype(array.dtype)))
    return found


def _check_floats(tree: PyTree, what: str) -> list[np.dtype]:
    leaves = jax.tree.leaves(tree)
    for i, x in enumerate(leaves):
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            raise TypeError(
                message(
                    f"a {what} must be a float or complex array, got {x.dtype}{list(x.shape)}",
                    f"leaf {leaf_table(tree)[i].path!r}",
                    "leave it out of the pytree that is optimized",
                )
            )
    return [np.dtype(x.dtype) for x in leaves]
