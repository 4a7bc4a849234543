"""Builds the `init` and the `update` function of a definition for given shapes and dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from optcc.base import LookaheadParams
from optcc.dialect import Extent, KeyType, TreeType
from optcc.dtypes import name_of, type_of
from optcc.errors import message
from optcc.formula.builder import Builder
from optcc.formula.definition import Definition
from optcc.formula.folds import MixedGroupError
from optcc.formula.leaf_sets import PARAMETERS
from optcc.formula.values import GroupedLeaves, Key, Scalar, Tree
from optcc.importers.foreign import opaque_leaf_set
from optcc.program.program import Port, Program, leaf_table, slot_attribute
from optcc.program.state import Slot, StateLayout, Value

INIT = "init"
UPDATE = "update"

Dtypes = dict[int, np.dtype]


def fast_of(params: Any) -> Any:
    """The parameters that gradients are taken with respect to: the fast ones of `LookaheadParams`."""
    return params.fast if isinstance(params, LookaheadParams) else params


def params_like(definition: Definition, updates: Any) -> Any:
    """The shapes of the parameters that go with updates: without the axis of examples, if there is one."""
    if not takes_examples(definition):
        return updates
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), updates)


def grads_like(definition: Definition, params: Any, examples: int) -> Any:
    """The shapes of the gradients that go with parameters; the inverse of `params_like`."""
    like = fast_of(params)
    if not takes_examples(definition):
        return like
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((examples, *x.shape), x.dtype), like)


def takes_examples(definition: Definition) -> bool:
    """Whether the updates of a transformation, the first of a chain, have an axis of examples."""
    return definition.takes_examples or any(takes_examples(child) for child in definition.children[:1])


def build_init(definition: Definition, params: Any) -> tuple[Program, StateLayout]:
    """The program that makes the initial state, and the layout of that state.

    `params` is a pytree of shapes and dtypes. Raises TypeError for a leaf that is neither float nor complex.
    """
    f = _Function(INIT, definition)
    dtypes = _check_floats(fast_of(params), "parameter")
    like = fast_of(params)
    root = f.builder.leaf_sets.root(
        PARAMETERS, jax.tree.structure(like), leaf_table(like), [(name_of(d),) for d in dtypes]
    )
    state = f.builder.initialize(None, definition, f.params_argument(params, root, _by_group(root, dtypes)))
    layout = StateLayout(state)
    parts = [f.result(slot.name, slot.value, slot.positions) for slot in layout.slots]
    return f.finish((params,), layout.fill(parts)), layout


def build_update(
    definition: Definition,
    layout: StateLayout,
    updates: Any,
    state: Any,
    params: Any | None = None,
    extra_args: Any | None = None,
) -> Program:
    """The program that transforms updates.

    All but `layout` are pytrees of shapes and dtypes, and `state` has that layout. Raises TypeError for a gradient
    that is neither float nor complex.
    """
    apart: tuple[frozenset[int], ...] = ()
    while True:
        try:
            return _build_update(definition, layout, updates, state, params, extra_args, apart)
        except MixedGroupError as error:
            apart = (*apart, error.leaves)


def _build_update(
    definition: Definition,
    layout: StateLayout,
    updates: Any,
    state: Any,
    params: Any | None,
    extra_args: Any | None,
    apart: tuple[frozenset[int], ...],
) -> Program:
    """As `build_update`; leaves inside and outside each set of `apart` are put into different groups."""
    f = _Function(UPDATE, definition)
    b = f.builder
    grads = _check_floats(updates, "gradient")
    weights = grads if params is None else _check_floats(fast_of(params), "parameter")
    arrays = layout.arrays(state)
    signatures = [
        (*signature, *(("off", "on")[i in side] for side in apart))
        for i, signature in enumerate(_signatures(PARAMETERS, [grads, weights], layout, arrays))
    ]
    like = params_like(definition, updates) if params is None else fast_of(params)
    root = b.leaf_sets.root(PARAMETERS, jax.tree.structure(like), leaf_table(like), signatures)
    shapes = dict(enumerate(tuple(x.shape) for x in jax.tree.leaves(updates)))
    gradients = f.tree_argument("updates", b.leaf_sets.restrict(root, root, shapes), _by_group(root, grads))
    start = f.counts[0]
    old_values: list[Any] = []
    stored: list[Any] = []
    for slot, part in zip(layout.slots, arrays, strict=True):
        positions = [start + i for i in slot.positions]
        value, kept = _state_argument(f, layout, arrays, slot, part, positions, root)
        old_values.append(value)
        stored.append(kept)
    f.counts[0] = start + sum(map(len, arrays))
    old_state = layout.fill_values(old_values)
    tree = None if params is None else f.params_argument(params, root, _by_group(root, weights))
    if extra_args is not None:
        b.extra_args = {}
        for name, extra in extra_args.items():
            leaf_set, dtypes = opaque_leaf_set(b, f"extra_{name}", extra)
            b.extra_args[name] = f.tree_argument(f"extra.{name}", leaf_set, dtypes)
    new_updates, new_state = b.apply(None, definition, gradients, old_state, tree)
    new = StateLayout(new_state)
    if new.structure != layout.structure:
        raise TypeError(
            f"{definition.name}: update returns a state of structure {new.structure}, init one of {layout.structure}"
        )
    update_shapes = f.updates_result(new_updates, root)
    start = f.counts[1]
    parts = [
        f.result(slot.name, value.value, [start + i for i in slot.positions], kept)
        for slot, value, kept in zip(layout.slots, new.slots, stored, strict=True)
    ]
    return f.finish((updates, state, params, extra_args), (update_shapes, layout.fill(parts)))


def _state_argument(
    f: _Function, layout: StateLayout, arrays: Sequence[Sequence[Any]], slot: Slot, part: Sequence[Any],
    positions: Sequence[int], root: GroupedLeaves,
) -> tuple[Value, Any]:  # fmt: skip
    """The argument for one slot of the state, and the dtypes that it is stored in."""
    b, old = f.builder, slot.value
    if isinstance(old, Key):
        return f.key_argument(slot.name, old.implementation, positions), None
    if isinstance(old, Scalar):
        dtype = np.dtype(part[0].dtype)
        return f.scalar_argument(slot.name, dtype, positions), dtype
    if old.leaf_set.root == PARAMETERS:
        own = old.extent == Extent.ELEMENTS
        shapes = {i: tuple(x.shape) for i, x in zip(old.leaf_set.leaves, part, strict=True)} if own else None
        leaf_set = b.leaf_sets.restrict(root, old.leaf_set, shapes, slot.name.rpartition(".")[2] if own else "on")
    else:
        name = old.leaf_set.root
        # A slot may have some of the leaves only; the one with most has all of them.
        pairs = zip((s.value for s in layout.slots), arrays, strict=True)
        slots = [(v.leaf_set, p) for v, p in pairs if isinstance(v, Tree) and v.leaf_set.root == name]
        whole, whole_part = max(slots, key=lambda pair: len(pair[0].leaves))
        table = leaf_table(jax.tree.unflatten(whole.structure, whole_part))
        whole_set = b.leaf_sets.root(name, whole.structure, table, _signatures(name, [], layout, arrays))
        shapes = {i: tuple(x.shape) for i, x in zip(old.leaf_set.leaves, part, strict=True)}
        leaf_set = b.leaf_sets.restrict(whole_set, old.leaf_set, shapes, slot.name.rpartition(".")[2])
    dtypes = _by_group(leaf_set, [np.dtype(x.dtype) for x in part])
    return f.tree_argument(slot.name, leaf_set, dtypes, extent=old.extent, positions=positions), dtypes


class _Function:
    """A function being written: its module, its builder, and the ports added so far."""

    def __init__(self, name: str, root: Definition) -> None:
        self.name = name
        self.block = Block()
        self.function = FuncOp(name, ((), ()), Region(self.block))
        module_block = Block()
        module_block.add_op(self.function)
        self.module = ModuleOp(Region(module_block))
        self.builder = Builder(module_block, self.block, root)
        self.inputs: list[Port] = []
        self.outputs: list[Port] = []
        self.values: list[SSAValue] = []
        self.counts = [0, 0]

    def params_argument(self, params: Any, root: GroupedLeaves, dtypes: Dtypes) -> Any:
        """The parameters: a tree, or the two of `LookaheadParams`."""
        if isinstance(params, LookaheadParams):
            return LookaheadParams(*(self.tree_argument(f"params.{name}", root, dtypes) for name in params._fields))
        return self.tree_argument("params", root, dtypes)

    def updates_result(self, updates: Any, root: GroupedLeaves) -> Any:
        """Return the updates, which have the structure of the parameters; their shapes."""
        if isinstance(updates, LookaheadParams):
            pairs = zip(updates._fields, updates, strict=True)
            return LookaheadParams(
                *(jax.tree.unflatten(root.structure, self.tree_result(f"updates.{n}", u)) for n, u in pairs)
            )
        return jax.tree.unflatten(root.structure, self.tree_result("updates", updates))

    def tree_argument(
        self,
        slot: str,
        leaf_set: GroupedLeaves,
        dtypes: Dtypes,
        *,
        extent: str = Extent.ELEMENTS,
        positions: Sequence[int] | None = None,
    ) -> Tree:
        """A tree; its leaves are the next of the caller's arrays, or those at `positions`."""
        values: dict[int, SSAValue] = {}
        for k, port in self._ports(0, slot, leaf_set, positions):
            type_ = TreeType.of(type_of(dtypes[k]), leaf_set.groups[k], extent)
            values[k] = self._argument(type_, slot)
            self.inputs.append(port)
        return self.builder.load(leaf_set, values)

    def scalar_argument(self, slot: str, dtype: np.dtype, positions: Sequence[int]) -> Scalar:
        """A 0-d array, at the one position given."""
        self.inputs.append(Port(slot, tuple(positions), False))
        return self.builder.scalar(self._argument(type_of(dtype), slot))

    def key_argument(self, slot: str, implementation: str, positions: Sequence[int]) -> Key:
        """A key of random numbers, at the one position given."""
        self.inputs.append(Port(slot, tuple(positions), False, implementation))
        return Key(self._argument(KeyType.of(implementation), slot), implementation)

    def result(self, slot: str, value: Value, positions: Sequence[int], kept: Any = None) -> list[Any]:
        """Return a value in the dtypes kept, or in its own; the shapes of its arrays."""
        if isinstance(value, Tree):
            return self.tree_result(slot, value, kept, positions)
        self.outputs.append(Port(slot, tuple(positions), False, value.implementation if isinstance(value, Key) else ""))
        if isinstance(value, Key):
            self.values.append(value.value)
            return [jax.eval_shape(lambda: jax.random.key(0, impl=value.implementation))]
        dtype = kept or value.array_dtype
        self.values.append(self.builder.scalar_as(value, type_of(dtype)))
        return [jax.ShapeDtypeStruct((), dtype)]

    def tree_result(
        self, slot: str, tree: Tree, dtypes: Dtypes | None = None, positions: Sequence[int] | None = None
    ) -> list[jax.ShapeDtypeStruct]:
        """Return a tree in the dtypes given, or in its own; the shapes of its leaves, in tree order."""
        stored = self.builder.store(tree, dtypes)
        for k, port in self._ports(1, slot, tree.leaf_set, positions):
            self.values.append(stored[k])
            self.outputs.append(port)
        return self.builder.shapes(tree, dtypes)

    def finish(self, in_shapes: Any, out_shapes: Any) -> Program:
        self.builder.leaf_sets.finish()
        self.block.add_op(ReturnOp(*self.values))
        self.function.function_type = FunctionType.from_lists(
            [a.type for a in self.block.args], [v.type for v in self.values]
        )
        self.function.arg_attrs = ArrayAttr([slot_attribute(port) for port in self.inputs])
        self.function.res_attrs = ArrayAttr([slot_attribute(port) for port in self.outputs])
        self.module.verify()
        b = self.builder
        return Program(
            self.module, self.name, tuple(self.inputs), tuple(self.outputs), in_shapes, out_shapes, b.bindings,
            b.callables,
        )  # fmt: skip

    def _ports(
        self, side: int, slot: str, leaf_set: GroupedLeaves, positions: Sequence[int] | None
    ) -> list[tuple[int, Port]]:
        if positions is None:
            positions = range(self.counts[side], self.counts[side] + len(leaf_set.leaves))
            self.counts[side] += len(positions)
        place = dict(zip(leaf_set.leaves, positions, strict=True))
        groups = leaf_set.groups
        names = {k: slot if len(groups) == 1 else f"{slot}/{symbol}" for k, symbol in groups.items()}
        return [(k, Port(names[k], tuple(place[m] for m in leaf_set.members[k]), True)) for k in groups]

    def _argument(self, type_: Attribute, slot: str) -> SSAValue:
        value = self.block.insert_arg(type_, len(self.block.args))
        hint = slot.rsplit(".", 1)[-1]
        value.name_hint = hint if hint.isidentifier() else None
        return value


def _by_group(leaf_set: GroupedLeaves, dtypes: Sequence[np.dtype]) -> Dtypes:
    """The dtype of each group, from the dtypes of the set's leaves in tree order."""
    place = {leaf: i for i, leaf in enumerate(leaf_set.leaves)}
    return {k: np.dtype(dtypes[place[members[0]]]) for k, members in leaf_set.members.items()}


def _signatures(
    root: str, dtypes: Sequence[Sequence[np.dtype]], layout: StateLayout, arrays: Sequence[Sequence[Any]]
) -> list[tuple[str, ...]]:
    """What the leaves of a pytree must share to be in one group: the dtypes given, and those of every state slot."""
    signatures: dict[int, list[str]] = {
        i: [name_of(d) for d in names] for i, names in enumerate(zip(*dtypes, strict=True))
    }
    for slot, part in zip(layout.slots, arrays, strict=True):
        if isinstance(slot.value, Tree) and slot.value.leaf_set.root == root:
            for leaf, array in zip(slot.value.leaf_set.leaves, part, strict=True):
                signatures.setdefault(leaf, []).append(name_of(np.dtype(array.dtype)))
    return [tuple(signatures[i]) for i in sorted(signatures)]


def _check_floats(tree: Any, what: str) -> list[np.dtype]:
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
