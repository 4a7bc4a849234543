"""Packed states and parameters: a few buffers in the place of an array for each leaf."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from optcc.errors import TreeMismatchError, message
from optcc.program.program import Port, Program, path_name
from optcc.program.storage import Packing

UPDATES, STATE, PARAMS = "updates", "state", "params"


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

    def __init__(self, slots: Sequence[PackedSlot], structure: Any) -> None:
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

    def pack(self, tree: Any) -> list[Any]:
        """The arrays of the slots, from the pytree."""
        leaves = jax.tree.leaves(tree)
        return [
            slot.packing.pack([leaves[i] for i in slot.positions]) if slot.packing else leaves[slot.positions[0]]
            for slot in self.slots
        ]

    def unpack(self, arrays: Sequence[Any]) -> Any:
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


def layout_of(program: Program, part: str) -> Layout:
    """The packed layout of the updates, the state or the parameters that a program takes."""
    index = (UPDATES, STATE, PARAMS).index(part)
    tree = program.in_shapes[index]
    start = sum(len(jax.tree.leaves(t)) for t in program.in_shapes[:index])
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    slots: list[PackedSlot] = []
    for port in _ports_of(program, start, len(leaves)):
        positions = tuple(i - start for i in port.positions)
        shape = leaves[positions[0]][1]
        packing = Packing.of([leaves[i][1].shape for i in positions]) if port.is_tree else None
        if packing is not None:
            shape = jax.ShapeDtypeStruct((packing.size,), shape.dtype)
        paths = tuple(path_name(leaves[i][0]) for i in positions)
        # Gradients are packed like the parameters.
        name = port.slot.replace("updates", "params", 1) if part == UPDATES else port.slot
        slots.append(PackedSlot(name, shape, packing, paths, positions))
    return Layout(slots, jax.tree.structure(tree))


def _ports_of(program: Program, start: int, count: int) -> list[Port]:
    return [port for port in program.inputs if start <= port.positions[0] < start + count]


def packed_program(program: Program, layouts: Mapping[str, Layout]) -> Program:
    """The calling convention of `step` with some of updates, state and parameters packed."""

    def shapes(part: str, tree: Any) -> Any:
        return layouts[part].like(PackedState if part == STATE else PackedParams) if part in layouts else tree

    updates, state, params, extra = program.in_shapes
    new_in = (shapes(UPDATES, updates), shapes(STATE, state), shapes(PARAMS, params), extra)
    new_params, new_state = program.out_shapes
    new_out = (shapes(PARAMS, new_params), shapes(STATE, new_state))
    inputs = _moved(program.inputs, [UPDATES, STATE, PARAMS, ""], program.in_shapes, layouts)
    outputs = _moved(program.outputs, [PARAMS, STATE], program.out_shapes, layouts)
    return replace(program, inputs=inputs, outputs=outputs, in_shapes=new_in, out_shapes=new_out)


def _moved(
    ports: Sequence[Port], parts: Sequence[str], trees: Sequence[Any], layouts: Mapping[str, Layout]
) -> tuple[Port, ...]:
    """The ports with the places that their arrays have in the new flat list."""
    moved: dict[int, Port] = {}
    old_start = new_start = 0
    for part, tree in zip(parts, trees, strict=True):
        count = len(jax.tree.leaves(tree))
        mine = [i for i, port in enumerate(ports) if old_start <= port.positions[0] < old_start + count]
        if part in layouts:
            slots = {slot.positions: (i, slot) for i, slot in enumerate(layouts[part].slots)}
            for i in mine:
                place, slot = slots[tuple(k - old_start for k in ports[i].positions)]
                moved[i] = replace(ports[i], positions=(new_start + place,), packing=slot.packing)
            new_start += len(slots)
        else:
            shift = new_start - old_start
            moved |= {i: replace(ports[i], positions=tuple(k + shift for k in ports[i].positions)) for i in mine}
            new_start += count
        old_start += count
    # In the order of the function's arguments or results.
    return tuple(moved[i] for i in range(len(ports)))


def check_layout(packed: Packed, expected: Layout, what: str) -> None:
    """Check that a packed pytree was packed for these parameters.

    Raises TreeMismatchError that names the first leaf in which it differs.
    """
    if packed.layout == expected:
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
def pack_tree(layout: Layout, tree: Any) -> list[Any]:
    """`Layout.pack`, compiled once for all optimizers with this layout."""
    return layout.pack(tree)


def unpack_slot(packing: Packing, buffer: Any) -> list[Any]:
    """The arrays in a buffer. Its transpose puts their gradients into one buffer, by one copy of each.

    That of slices would be a sum of as many buffers as there are arrays.
    """
    return _unpack_p.bind(buffer, packing=packing)


@partial(jax.jit, static_argnums=2)
def _part(buffer: Any, start: Any, shape: tuple[int, ...]) -> Any:
    return jnp.reshape(jax.lax.dynamic_slice_in_dim(buffer, start, math.prod(shape)), shape)


def _unpack_now(buffer: Any, *, packing: Packing) -> list[Any]:
    """Outside of any trace: one small executable for each shape. One with all the slices takes long to compile."""
    return [_part(buffer, start, shape) for start, shape in zip(packing.offsets, packing.shapes, strict=True)]


def _unpack(buffer: Any, *, packing: Packing) -> list[Any]:
    return packing.unpack(buffer)


@partial(jax.jit, static_argnums=0)
def _pack(packing: Packing, arrays: Sequence[Any]) -> Any:
    return packing.pack(arrays)


def _transpose(cotangents: Sequence[Any], buffer: Any, *, packing: Packing) -> list[Any]:
    del buffer
    return [_pack(packing, [ad.instantiate_zeros(c) for c in cotangents])]


def _batch(arrays: Sequence[Any], dims: Sequence[Any], *, packing: Packing) -> tuple[list[Any], list[int]]:
    out = jax.vmap(packing.unpack, in_axes=dims[0])(arrays[0])
    return out, [0] * len(out)


_unpack_p.def_impl(_unpack_now)
_unpack_p.def_abstract_eval(lambda buffer, packing: [type(buffer)(shape, buffer.dtype) for shape in packing.shapes])
ad.deflinear2(_unpack_p, _transpose)
batching.primitive_batchers[_unpack_p] = _batch
mlir.register_lowering(_unpack_p, mlir.lower_fun(_unpack, multiple_results=True))
