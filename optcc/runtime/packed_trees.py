"""Packed states and parameters: a few buffers in the place of an array for each leaf."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from optcc.base import PyTree
from optcc.dialect import Role, Storage, context
from optcc.errors import TreeMismatchError, message
from optcc.passes.pack_slots import PackSlots
from optcc.program.arrays import PyTreeDef, leaf_paths, shape_of
from optcc.program.program import Function
from optcc.program.signature import names_of, packing_of
from optcc.program.storage import Packing

LAYOUTS = ("tree", "packed", "tiled", "auto")
"""`tree` keeps states as Optax has them, `packed` in a few buffers, `tiled` in buffers for accelerators; `auto` packs
where buffers cost more than bytes."""


BUFFER_COST = 7.5e-6
"""Seconds that one array of a state costs as an input and an output of a jitted call; measured on XLA:CPU."""
MEMORY_SPEED = 57e9
"""Bytes a second, of the machine that `BUFFER_COST` was measured on."""


def cheapest_layout(state: Sequence[jax.ShapeDtypeStruct], platform: str) -> str:
    """The layout for a state of these arrays: packed where the arrays cost more than their bytes."""
    moved = sum(x.size * x.dtype.itemsize for x in state) / MEMORY_SPEED
    one_array = "packed" if platform == "cpu" else "tiled"
    return one_array if len(state) * BUFFER_COST > moved else "tree"


def check_layout_name(layout: str) -> None:
    """Raises ValueError for a layout that there is not."""
    if layout not in LAYOUTS:
        raise ValueError(message(f"unknown layout {layout!r}", fix=f"one of {', '.join(LAYOUTS)}"))


@dataclass(frozen=True)
class PackedSlot:
    """One array of a packed pytree: its name, its shape and dtype, and the leaves in it.

    `packing` is None for an array that is not packed: the scalar or key at the only path and position.
    """

    name: str
    shape: jax.ShapeDtypeStruct
    packing: Packing | None
    paths: tuple[str, ...]
    positions: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return str(self.shape.dtype)


class Layout:
    """The slots of a packed pytree, and the pytree that it stands for. Equal layouts have one digest."""

    def __init__(self, slots: Sequence[PackedSlot], structure: PyTreeDef) -> None:
        self.slots = tuple(slots)
        self.structure = structure
        self._digest = hashlib.sha256(repr((self.slots, str(structure))).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Layout) and self._digest == other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)

    def like(self, kind: type[Packed]) -> Any:
        """Shapes and dtypes of the arrays of the slots, in a packed pytree."""
        return kind([slot.shape for slot in self.slots], self)

    def pack(self, tree: PyTree) -> list[Any]:
        """The arrays of the slots, from the pytree."""
        leaves = jax.tree.leaves(tree)
        return [
            slot.packing.pack([leaves[i] for i in slot.positions]) if slot.packing else leaves[slot.positions[0]]
            for slot in self.slots
        ]

    def unpack(self, arrays: Sequence[jax.Array]) -> Any:
        """The pytree, from the arrays of the slots."""
        leaves: list[Any] = [None] * sum(len(slot.positions) for slot in self.slots)
        for slot, array in zip(self.slots, arrays, strict=True):
            parts = unpack_slot(slot.packing, array) if slot.packing else [array]
            for i, part in zip(slot.positions, parts, strict=True):
                leaves[i] = part
        return jax.tree.unflatten(self.structure, leaves)


class Packed:
    """A pytree in packed form. It is a pytree itself, whose leaves are the arrays of its slots."""

    def __init__(self, arrays: Sequence[Any], layout: Layout) -> None:
        self.arrays = tuple(arrays)
        self.layout = layout

    def __repr__(self) -> str:
        names = ", ".join(slot.name for slot in self.layout.slots)
        return f"{type(self).__name__}({names})"


class PackedState(Packed):
    """The state of an optimizer with one array for each field and dtype; see `CompiledOptimizer.unpack_state`."""


class PackedParams(Packed):
    """Parameters, or gradients, with one array for each dtype; see `CompiledOptimizer.unpack`."""


def _register(kind: type[Packed]) -> None:
    def with_keys(packed: Packed) -> Any:
        names = [jax.tree_util.DictKey(slot.name) for slot in packed.layout.slots]
        return list(zip(names, packed.arrays, strict=True)), packed.layout

    jax.tree_util.register_pytree_with_keys(
        kind,
        with_keys,
        lambda layout, arrays: kind(tuple(arrays), layout),
        lambda packed: (packed.arrays, packed.layout),
    )


_register(PackedState)
_register(PackedParams)


def layout_of(function: Function, role: Role, storage: Storage = Storage.PACKED, *, results: bool = False) -> Layout:
    """The packed layout of a pytree that a function takes, or returns. Gradients are packed like the parameters.

    `storage` is how trees are kept that the function does not pack itself.
    """
    bindings = function.signature.of_role(role, results=results)
    names = names_of(bindings, Role.PARAMS if role is Role.UPDATES else None)
    structure = function.structure(role, results=results)
    paths = leaf_paths(structure)
    slots: list[PackedSlot] = []
    for b, name in zip(bindings, names, strict=True):
        packing = b.packing or (packing_of(storage, b.shapes) if b.group else None)
        shape = b.arrays[0] if packing is None else jax.ShapeDtypeStruct(packing.array_shape, b.dtype)
        slots.append(PackedSlot(name, shape, packing, tuple(paths[i] for i in b.places), b.places))
    return Layout(slots, structure)


def packed_function(function: Function, roles: Collection[Role], storage: Storage = Storage.PACKED) -> Function:
    """The function with the pytrees of some roles packed, or tiled."""
    if not roles:
        return function
    module = function.program.module.clone()
    PackSlots(tuple(sorted(roles)), "tiled" if storage is Storage.TILED else "packed").apply(context(), module)
    return replace(function.program.with_module(module).function(function.name), packed=frozenset(roles))


def like_of(function: Function, role: Role) -> Any:
    """The pytree of a role that a function takes, of shapes and dtypes; packed if it is."""
    if role not in function.packed:
        return function.shapes(role)
    return layout_of(function, role).like(_kind(role))


def trees_of(function: Function, arrays: Sequence[jax.Array]) -> dict[Role, Any]:
    """The pytrees of a function's results from its flat arrays, packed where the function's signature says so."""
    return function.trees(arrays, lambda role, leaves: _kind(role)(leaves, _returned_layout(function, role)))


def _returned_layout(function: Function, role: Role) -> Layout:
    """The layout of a packed result: that of the argument, or for `@init` of the result itself."""
    return layout_of(function, role, results=not function.signature.of_role(role))


def _kind(role: Role) -> type[Packed]:
    return PackedState if role is Role.STATE else PackedParams


def check_layout(packed: Packed, expected: Layout, what: str) -> None:
    """Check that a packed pytree was packed for these parameters, and that its arrays have the sizes of their slots.

    Raises TreeMismatchError that names the first leaf, or slot, in which it differs.
    """
    if packed.layout == expected:
        _check_arrays(packed, what)
        return
    fix = "pack it with the optimizer that takes it; unpack it with the one that packed it"
    ours, theirs = ({path: leaf for slot in x.slots for path, leaf in _leaves(slot)} for x in (expected, packed.layout))
    for path in (*theirs, *ours):
        if theirs.get(path) != ours.get(path):
            got, wanted = (_describe(leaves.get(path)) for leaves in (theirs, ours))
            text = f"the packed {what} was made for other parameters: it has {got}, this optimizer {wanted}"
            raise TreeMismatchError(message(text, f"leaf {path!r}", fix))
    name, got, wanted = _first_container(packed.layout, expected)
    text = f"the packed {what} was made for another pytree: there {got}, in this optimizer {wanted}"
    raise TreeMismatchError(message(text, name, fix))


def _check_arrays(packed: Packed, what: str) -> None:
    for slot, array in zip(packed.layout.slots, packed.arrays, strict=True):
        got = shape_of(array)
        if (got.shape, got.dtype) != (slot.shape.shape, slot.shape.dtype):
            wanted = f"{slot.dtype}{list(slot.shape.shape)}"
            text = f"an array of the packed {what} is {got.dtype}{list(got.shape)}, but its layout says {wanted}"
            fix = "restore the arrays as they were saved; a checkpoint may be truncated, or padded"
            raise TreeMismatchError(message(text, f"slot {slot.name!r}", fix))


def _first_container(got: Layout, expected: Layout) -> tuple[str, str, str]:
    """The first leaf that is in another container, and both containers."""
    names = {i: f"leaf {path!r}" for s in expected.slots for i, path in zip(s.positions, s.paths, strict=True)}
    start, pairs = 0, [(got.structure, expected.structure)]
    while pairs:
        ours, theirs = pairs.pop()
        kinds = ours.node_data(), theirs.node_data()
        if kinds[0] != kinds[1]:
            words = [f"it is in a {kind[0].__name__}" if kind else "it is a leaf" for kind in kinds]
            return names.get(start, ""), words[0], words[1]
        start += kinds[0] is None
        pairs += reversed(list(zip(ours.children(), theirs.children(), strict=False)))
    return "", f"the structure is {got.structure}", f"it is {expected.structure}"


def _leaves(slot: PackedSlot) -> list[tuple[str, tuple[str, Any]]]:
    shapes = slot.packing.shapes if slot.packing else [()]
    return [(path, (slot.dtype, shape)) for path, shape in zip(slot.paths, shapes, strict=True)]


def _describe(leaf: tuple[str, Any] | None) -> str:
    return "no such leaf" if leaf is None else f"{leaf[0]}{list(leaf[1])}"


_unpack_p = Primitive("optcc_unpack")
_unpack_p.multiple_results = True


@partial(jax.jit, static_argnums=0)
def pack_tree(layout: Layout, tree: PyTree) -> list[Any]:
    """`Layout.pack`, compiled once for all optimizers with this layout."""
    return layout.pack(tree)


def unpack_slot(packing: Packing, buffer: jax.Array) -> list[Any]:
    """The arrays in a buffer. Its transpose puts their gradients into one buffer, by one copy of each.

    That of slices would be a sum of as many buffers as there are arrays.
    """
    return _unpack_p.bind(buffer, packing=packing)


@partial(jax.jit, static_argnums=2)
def _part(buffer: jax.Array, start: Any, shape: tuple[int, ...]) -> Any:
    size, row = math.prod(shape), math.prod(buffer.shape[1:])
    part = jax.lax.dynamic_slice_in_dim(buffer, start // row, -(-size // row))
    return jnp.reshape(jnp.ravel(part)[:size], shape)


def _unpack_now(buffer: jax.Array, *, packing: Packing) -> list[Any]:
    """Outside of any trace: one small executable for each shape. One with all the slices takes long to compile."""
    return [_part(buffer, start, shape) for start, shape in zip(packing.offsets, packing.shapes, strict=True)]


def _unpack(buffer: jax.Array, *, packing: Packing) -> list[Any]:
    return packing.unpack(buffer)


@partial(jax.jit, static_argnums=0)
def _pack(packing: Packing, arrays: Sequence[jax.Array]) -> Any:
    return packing.pack(arrays)


def _transpose(cotangents: Sequence[jax.Array], buffer: jax.Array, *, packing: Packing) -> list[Any]:
    del buffer
    return [_pack(packing, [ad.instantiate_zeros(c) for c in cotangents])]


def _batch(arrays: Sequence[jax.Array], dims: Sequence[int | None], *, packing: Packing) -> tuple[list[Any], list[int]]:
    out = jax.vmap(packing.unpack, in_axes=dims[0])(arrays[0])
    return out, [0] * len(out)


_unpack_p.def_impl(_unpack_now)
_unpack_p.def_abstract_eval(lambda buffer, packing: [type(buffer)(shape, buffer.dtype) for shape in packing.shapes])
ad.deflinear2(_unpack_p, _transpose)
batching.primitive_batchers[_unpack_p] = _batch
mlir.register_lowering(_unpack_p, mlir.lower_fun(_unpack, multiple_results=True))
