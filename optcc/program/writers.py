"""Writes a module: its functions, with the slots of their arguments and results. What they compute, `build` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

from optcc.base import LookaheadParams, Params, PyTree, Updates
from optcc.dialect import Extent, KeyType, Role, Slot, TreeType, set_signature
from optcc.dtypes import type_of
from optcc.formula.builder import Builder
from optcc.formula.definition import Definition
from optcc.formula.leaf_sets import LeafSets
from optcc.formula.values import GroupedLeaves, Key, Scalar, Tree
from optcc.importers.foreign import opaque_leaf_set
from optcc.program.arrays import PyTreeDef
from optcc.program.program import Program
from optcc.program.state import StateSlot, Value

Dtypes = dict[int, np.dtype]
"""The dtype of each group of a leaf set, by its number."""


class ModuleWriter:
    """A module being written: its functions share leaf sets, hyperparameters and opaque functions."""

    def __init__(self) -> None:
        self.block = Block()
        self.op = ModuleOp(Region(self.block))
        self.leaf_sets = LeafSets(self.block)
        self.bindings: dict[str, Any] = {}
        self.callables: dict[str, Callable[..., Any]] = {}
        self.zeroed, self.literals = set[int](), dict[str, str]()

    def program(self, structures: Mapping[Role, PyTreeDef], after: Mapping[Role, PyTreeDef]) -> Program:
        """The finished program; `after` are the pytrees that it returns."""
        self.leaf_sets.finish()
        self.op.verify()
        return Program(self.op, structures, after, self.bindings, self.callables, frozenset(self.zeroed), self.literals)


class FunctionWriter:
    """A function being written: its builder, and the slots of the arguments and results so far."""

    def __init__(self, name: str, root: Definition, module: ModuleWriter) -> None:
        self.module = module
        self.block = Block()
        self.function = FuncOp(name, ((), ()), Region(self.block))
        module.block.add_op(self.function)
        self.builder = Builder(module.leaf_sets.for_function(), self.block, root, module)
        self.inputs: list[Slot] = []
        self.outputs: list[Slot] = []
        self.values: list[SSAValue] = []

    def params_argument(self, params: Params, root: GroupedLeaves, dtypes: Dtypes) -> Any:
        """The parameters: a tree, or the two of `LookaheadParams`."""
        if not isinstance(params, LookaheadParams):
            return self.tree_argument(Slot(Role.PARAMS), root, dtypes)
        count = len(root.leaves)
        trees = (
            self.tree_argument(Slot(Role.PARAMS, (name,)), root, dtypes, places=range(i * count, (i + 1) * count))
            for i, name in enumerate(params._fields)
        )
        return LookaheadParams(*trees)

    def extra_arguments(self, extra_args: PyTree) -> dict[str, Tree] | None:
        """The extra arguments, each a tree over leaves of its own, in the order in which JAX flattens them."""
        if extra_args is None:
            return None
        made: dict[str, Tree] = {}
        start = 0
        for name in sorted(extra_args):
            leaf_set, dtypes = opaque_leaf_set(self.builder, f"extra_{name}", extra_args[name])
            places = range(start, start + len(leaf_set.leaves))
            made[name] = self.tree_argument(Slot(Role.EXTRA, (name,)), leaf_set, dtypes, places=places)
            start = places.stop
        return {name: made[name] for name in extra_args}

    def updates_result(self, updates: Updates, root: GroupedLeaves) -> PyTreeDef:
        """Return the updates, which have the structure of the parameters, but for a measurement; their structure."""
        if not isinstance(updates, LookaheadParams):
            self.result(Role.UPDATES, (), updates, range(len(updates.leaf_set.leaves)))
            return root.structure if updates.leaf_set.root == root.root else updates.leaf_set.structure
        count = len(root.leaves)
        for i, (name, tree) in enumerate(zip(updates._fields, updates, strict=True)):
            self.result(Role.UPDATES, (name,), tree, range(i * count, (i + 1) * count))
        trees = [jax.tree.unflatten(root.structure, [0] * root.structure.num_leaves) for _ in updates]
        return jax.tree.structure(LookaheadParams(*trees))

    def tree_argument(
        self,
        slot: Slot,
        leaf_set: GroupedLeaves,
        dtypes: Dtypes,
        *,
        extent: str = Extent.ELEMENTS,
        places: Sequence[int] | None = None,
    ) -> Tree:
        """A tree, whose leaves are at `places` in the pytree of its role, or are all of it."""
        values: dict[int, SSAValue] = {}
        for k, one in _grouped(slot, leaf_set, places):
            values[k] = self._argument(TreeType.of(type_of(dtypes[k]), leaf_set.groups[k], extent), one)
        return self.builder.load(leaf_set, values)

    def scalar_argument(self, slot: StateSlot, dtype: np.dtype) -> Scalar:
        """A 0-d array of the state."""
        return self.builder.scalar(self._argument(type_of(dtype), Slot(Role.STATE, slot.path, slot.positions)))

    def key_argument(self, slot: StateSlot, implementation: str) -> Key:
        """A key of random numbers of the state."""
        value = self._argument(KeyType.of(implementation), Slot(Role.STATE, slot.path, slot.positions))
        return Key(value, implementation)

    def result(
        self, role: Role, path: tuple[str, ...], value: Value, places: Sequence[int], stored: Any = None
    ) -> None:
        """Return a value in the dtypes stored, or in its own."""
        slot = Slot(role, path, tuple(places))
        if isinstance(value, Tree):
            parts = self.builder.store(value, stored)
            for k, one in _grouped(slot, value.leaf_set, places):
                self.outputs.append(one)
                self.values.append(parts[k])
            return
        self.outputs.append(slot)
        if isinstance(value, Key):
            self.values.append(value.value)
        else:
            self.values.append(self.builder.scalar_as(value, type_of(stored or value.array_dtype)))

    def finish(self) -> None:
        """End the function, with the types and slots of its arguments and results."""
        self.block.add_op(ReturnOp(*self.values))
        set_signature(self.function, self.inputs, self.outputs)

    def _argument(self, type_: Attribute, slot: Slot) -> SSAValue:
        value = self.block.insert_arg(type_, len(self.block.args))
        hint = slot.path[-1] if slot.path else str(slot.role)
        value.name_hint = hint if hint.isidentifier() else None
        self.inputs.append(slot)
        return value


def _grouped(slot: Slot, leaf_set: GroupedLeaves, places: Sequence[int] | None) -> list[tuple[int, Slot]]:
    """The slot of each group of a tree: the places of its leaves."""
    place = dict(zip(leaf_set.leaves, range(len(leaf_set.leaves)) if places is None else places, strict=True))
    return [(k, replace(slot, places=tuple(place[m] for m in leaf_set.members[k]))) for k in leaf_set.groups]


def by_group(leaf_set: GroupedLeaves, dtypes: Sequence[np.dtype]) -> Dtypes:
    """The dtype of each group, from the dtypes of the set's leaves in tree order."""
    place = {leaf: i for i, leaf in enumerate(leaf_set.leaves)}
    return {k: np.dtype(dtypes[place[members[0]]]) for k, members in leaf_set.members.items()}
