"""Builds the `init` and the `update` function of a definition for given shapes and dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from optcc.dialect import Extent, TreeType
from optcc.errors import message
from optcc.ir.builder import Builder, MixedGroupError
from optcc.ir.definition import Definition
from optcc.ir.dtypes import type_of
from optcc.ir.foreign import opaque_leaf_set
from optcc.ir.program import Port, Program, leaf_table, path_name, slot_attribute
from optcc.ir.values import LeafSet, Scalar, Tree

INIT = "init"
UPDATE = "update"

Dtypes = dict[int, np.dtype]


@dataclass(frozen=True)
class StateLayout:
    """Which part of a state is which value of the IR: the tree of builder values that `init` made."""

    structure: Any
    names: tuple[str, ...]
    values: tuple[Tree | Scalar, ...]

    @staticmethod
    def of(state: Any) -> StateLayout:
        """The layout of a state made of builder values."""
        pairs, structure = jax.tree_util.tree_flatten_with_path(state, is_leaf=_is_value)
        return StateLayout(structure, tuple(path_name(path) for path, _ in pairs), tuple(v for _, v in pairs))

    def arrays(self, state: Any) -> list[list[Any]]:
        """The arrays of each value, from a state of this structure."""
        return [jax.tree.leaves(part) for part in self.structure.flatten_up_to(state)]

    def fill(self, parts: Sequence[Sequence[Any]]) -> Any:
        """A state with `parts` as the arrays of its values; the inverse of `arrays`."""
        trees = [
            jax.tree.unflatten(v.leaf_set.structure, part) if isinstance(v, Tree) else part[0]
            for v, part in zip(self.values, parts, strict=True)
        ]
        return jax.tree.unflatten(self.structure, trees)


def build_init(definition: Definition, params: Any) -> tuple[Program, StateLayout]:
    """The program that makes the initial state, and the layout of that state.

    `params` is a pytree of shapes and dtypes. Raises TypeError for a leaf that is no float.
    """
    f = _Function(INIT, definition)
    dtypes = _check_floats(params, "parameter")
    root = f.builder.define_root("all", jax.tree.structure(params), leaf_table(params), [(d.name,) for d in dtypes])
    state = f.builder.initialize(None, definition, f.tree_argument("params", root, _by_group(root, dtypes)))
    layout = StateLayout.of(state)
    parts = [
        f.tree_result(name, value) if isinstance(value, Tree) else f.scalar_result(name, value, value.array_dtype)
        for name, value in zip(layout.names, layout.values, strict=True)
    ]
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
    that is no float.
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
    weights = grads if params is None else _check_floats(params, "parameter")
    arrays = layout.arrays(state)
    signatures = [
        (*signature, *(("off", "on")[i in side] for side in apart))
        for i, signature in enumerate(_signatures(grads, weights, layout, arrays))
    ]
    root = b.define_root("all", jax.tree.structure(updates), leaf_table(updates), signatures)
    gradients = f.tree_argument("updates", root, _by_group(root, grads))
    old_values: list[Any] = []
    stored: list[Any] = []
    for name, value, slot in zip(layout.names, layout.values, arrays, strict=True):
        if isinstance(value, Scalar):
            stored.append(np.dtype(slot[0].dtype))
            old_values.append(f.scalar_argument(name, stored[-1]))
            continue
        if value.leaf_set.root == 1:
            leaf_set = b.restrict(root, value.leaf_set)
        else:
            leaf_set, _ = opaque_leaf_set(b, f"state_{name}", jax.tree.unflatten(value.leaf_set.structure, slot))
        stored.append(_by_group(leaf_set, [np.dtype(x.dtype) for x in slot]))
        old_values.append(f.tree_argument(name, leaf_set, stored[-1], per_leaf=value.per_leaf))
    old_state = jax.tree.unflatten(layout.structure, old_values)
    tree = None if params is None else f.tree_argument("params", root, _by_group(root, weights))
    if extra_args is not None:
        b.extra_args = {}
        for name, shapes in extra_args.items():
            leaf_set, dtypes = opaque_leaf_set(b, f"extra_{name}", shapes)
            b.extra_args[name] = f.tree_argument(f"extra.{name}", leaf_set, dtypes)
    new_updates, new_state = b.apply(None, definition, gradients, old_state, tree)
    new = StateLayout.of(new_state)
    if new.structure != layout.structure:
        raise TypeError(
            f"{definition.name}: update returns a state of structure {new.structure}, init one of {layout.structure}"
        )
    update_shapes = f.tree_result("updates", new_updates)
    parts = [
        f.tree_result(name, value, kept) if isinstance(value, Tree) else f.scalar_result(name, value, kept)
        for name, value, kept in zip(layout.names, new.values, stored, strict=True)
    ]
    out_shapes = (jax.tree.unflatten(root.structure, update_shapes), layout.fill(parts))
    return f.finish((updates, state, params, extra_args), out_shapes)


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

    def tree_argument(self, slot: str, leaf_set: LeafSet, dtypes: Dtypes, *, per_leaf: bool = False) -> Tree:
        extent = Extent.PER_LEAF if per_leaf else Extent.ELEMENTS
        values: dict[int, SSAValue] = {}
        for k, port in self._ports(0, slot, leaf_set):
            type_ = TreeType.of(type_of(dtypes[k]), leaf_set.groups[k], extent)
            values[k] = self._argument(type_, slot)
            self.inputs.append(port)
        return self.builder.load(leaf_set, values)

    def scalar_argument(self, slot: str, dtype: np.dtype) -> Scalar:
        self.inputs.append(Port(slot, (self.counts[0],), False))
        self.counts[0] += 1
        return self.builder.scalar(self._argument(type_of(dtype), slot))

    def tree_result(self, slot: str, tree: Tree, dtypes: Dtypes | None = None) -> list[jax.ShapeDtypeStruct]:
        """Return a tree in the dtypes given, or in its own; the shapes of its leaves, in tree order."""
        stored = self.builder.store(tree, dtypes)
        shapes: dict[int, jax.ShapeDtypeStruct] = {}
        for k, port in self._ports(1, slot, tree.leaf_set):
            self.values.append(stored[k])
            self.outputs.append(port)
            for index, leaf in zip(
                tree.leaf_set.members[k], self.builder.leaves_of(tree.leaf_set.groups[k]), strict=True
            ):
                shape = () if tree.per_leaf else leaf.shape
                shapes[index] = jax.ShapeDtypeStruct(shape, (dtypes or tree.dtypes)[k])
        return [shapes[i] for i in sorted(shapes)]

    def scalar_result(self, slot: str, scalar: Scalar, dtype: np.dtype) -> list[jax.ShapeDtypeStruct]:
        self.values.append(self.builder.scalar_as(scalar, type_of(dtype)))
        self.outputs.append(Port(slot, (self.counts[1],), False))
        self.counts[1] += 1
        return [jax.ShapeDtypeStruct((), dtype)]

    def finish(self, in_shapes: Any, out_shapes: Any) -> Program:
        self.block.add_op(ReturnOp(*self.values))
        self.function.function_type = FunctionType.from_lists(
            [a.type for a in self.block.args], [v.type for v in self.values]
        )
        self.function.arg_attrs = ArrayAttr([slot_attribute(port.slot) for port in self.inputs])
        self.function.res_attrs = ArrayAttr([slot_attribute(port.slot) for port in self.outputs])
        self.module.verify()
        b = self.builder
        return Program(
            self.module, self.name, tuple(self.inputs), tuple(self.outputs), in_shapes, out_shapes, b.bindings,
            b.callables,
        )  # fmt: skip

    def _ports(self, side: int, slot: str, leaf_set: LeafSet) -> list[tuple[int, Port]]:
        start = self.counts[side]
        place = {leaf: start + i for i, leaf in enumerate(leaf_set.leaves)}
        self.counts[side] += len(place)
        groups = leaf_set.groups
        return [
            (
                k,
                Port(
                    slot if len(groups) == 1 else f"{slot}/{symbol}", tuple(place[m] for m in leaf_set.members[k]), True
                ),
            )
            for k, symbol in groups.items()
        ]

    def _argument(self, type_: Attribute, slot: str) -> SSAValue:
        value = self.block.insert_arg(type_, len(self.block.args))
        hint = slot.rsplit(".", 1)[-1]
        value.name_hint = hint if hint.isidentifier() else None
        return value


def _is_value(x: Any) -> bool:
    return isinstance(x, Tree | Scalar)


def _by_group(leaf_set: LeafSet, dtypes: Sequence[np.dtype]) -> Dtypes:
    """The dtype of each group, from the dtypes of the set's leaves in tree order."""
    place = {leaf: i for i, leaf in enumerate(leaf_set.leaves)}
    return {k: np.dtype(dtypes[place[members[0]]]) for k, members in leaf_set.members.items()}


def _signatures(
    grads: Sequence[np.dtype], weights: Sequence[np.dtype], layout: StateLayout, arrays: Sequence[Sequence[Any]]
) -> list[tuple[str, ...]]:
    """What leaves must share to be in one group: the dtypes of gradient, parameter and every state slot."""
    signatures = [[g.name, w.name] for g, w in zip(grads, weights, strict=True)]
    for value, slot in zip(layout.values, arrays, strict=True):
        if isinstance(value, Tree) and value.leaf_set.root == 1:
            for leaf, array in zip(value.leaf_set.leaves, slot, strict=True):
                signatures[leaf].append(np.dtype(array.dtype).name)
    return [tuple(s) for s in signatures]


def _check_floats(tree: Any, what: str) -> list[np.dtype]:
    leaves = jax.tree.leaves(tree)
    for i, x in enumerate(leaves):
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                message(
                    f"a {what} must be a real float array, got {x.dtype}{list(x.shape)}",
                    f"leaf {leaf_table(tree)[i].path!r}",
                    "leave it out of the pytree that is optimized",
                )
            )
    return [np.dtype(x.dtype) for x in leaves]
