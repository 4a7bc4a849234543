"""Where the arrays of a step are on a mesh of devices: what the caller's parameters say, and what follows for a state.

A `Spec` has for each axis of an array the mesh axes that it is split over. Parameters have shardings of their own; a
moment has that of its parameter, a factored row or column what is left of it, and anything else is replicated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import jax
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from xdsl.ir import SSAValue

from optcc.base import Params, PyTree
from optcc.dialect import Role, TreeType, leaf_set
from optcc.dialect.interfaces import MovesValues, Regroups
from optcc.errors import ShardingError, message
from optcc.program.arrays import leaf_paths
from optcc.program.program import Function

Spec: TypeAlias = tuple[tuple[str, ...], ...]
Key: TypeAlias = tuple[str, tuple[int, ...]]
"""The path and the shape of an array, which say what it is in all functions of a program."""


@dataclass(frozen=True)
class Placement:
    """The mesh that the parameters are on, and the spec of each of their leaves, in pytree order.

    The step computes on arrays of these specs, and the state has them. Parameters that the caller has in another way,
    such as replicated ones with a sharded state, are `held` so.
    """

    mesh: Mesh
    specs: tuple[Spec, ...]
    held: tuple[Spec, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """The size of each axis of the mesh."""
        return dict(self.mesh.shape)

    @property
    def is_split(self) -> bool:
        """Whether any parameter is split, and not all are replicated."""
        return any(self.sizes[axis] > 1 for spec in self.specs for axes in spec for axis in axes)

    @property
    def given(self) -> list[NamedSharding]:
        """The sharding of each parameter as the caller has it."""
        return [self.sharding(spec) for spec in self.held or self.specs]

    def sharding(self, spec: Spec) -> NamedSharding:
        """The sharding of an array on the mesh."""
        return NamedSharding(self.mesh, partition_spec(spec))


def partition_spec(spec: Spec) -> PartitionSpec:
    """A spec as JAX has it."""
    entries = [axes if len(axes) > 1 else (axes[0] if axes else None) for axes in spec]
    while entries and entries[-1] is None:
        entries.pop()
    return PartitionSpec(*entries)


def placement_of(tree: PyTree) -> Placement | None:
    """The placement of a pytree of arrays or shapes and dtypes; None unless all have shardings of one mesh.

    A mesh of one device is none, and so is memory other than the device's own.
    """
    leaves = jax.tree.leaves(tree)
    shardings = [None if isinstance(x, Tracer) else getattr(x, "sharding", None) for x in leaves]
    if not shardings or not isinstance(shardings[0], NamedSharding):
        return None
    mesh = shardings[0].mesh
    if not isinstance(mesh, Mesh) or mesh.size == 1:
        return None
    memory = mesh.devices.flat[0].default_memory().kind
    specs: list[Spec] = []
    for sharding, x in zip(shardings, leaves, strict=True):
        if (
            not isinstance(sharding, NamedSharding)
            or sharding.mesh != mesh
            or sharding.memory_kind not in (None, memory)
        ):
            return None
        spec = _spec(sharding.spec, len(x.shape))
        if spec is None:
            return None
        specs.append(spec)
    return Placement(mesh, tuple(specs))


def _spec(given: PartitionSpec, rank: int) -> Spec | None:
    """A spec of JAX, with an entry for each axis; None for one that leaves an axis to XLA."""
    entries = [*given, *[None] * (rank - len(given))]
    if not all(isinstance(e, str | tuple | None) for e in entries):
        return None
    return tuple(() if e is None else (e,) if isinstance(e, str) else tuple(map(str, e)) for e in entries)


def with_sharded_state(placement: Placement | None, axis: str, params: Params) -> Placement:
    """The placement whose state is split over one more axis of the mesh, each leaf along its first axis that fits.

    A leaf without such an axis, or split over it already, stays as it is. Raises ShardingError for parameters that are
    on no mesh with that axis.
    """
    if placement is None or axis not in placement.sizes:
        axes = ", ".join(map(repr, placement.sizes)) if placement else "none: they have no shardings of one mesh"
        what = f"shard_state={axis!r} is no axis of the mesh that the parameters are on"
        raise ShardingError(message(what, f"its axes: {axes}", "give compile parameters that are on a mesh with it"))
    pairs = zip(placement.specs, jax.tree.leaves(params), strict=True)
    specs = tuple(_split_once_more(spec, x.shape, axis, placement.sizes) for spec, x in pairs)
    return Placement(placement.mesh, specs, held=placement.specs)


def _split_once_more(spec: Spec, shape: Sequence[int], axis: str, sizes: Mapping[str, int]) -> Spec:
    if any(axis in axes for axes in spec):
        return spec
    for i, (n, axes) in enumerate(zip(shape, spec, strict=True)):
        parts = prod(sizes[a] for a in axes) * sizes[axis]
        if n and n % parts == 0:
            return (*spec[:i], (*axes, axis), *spec[i + 1 :])
    return spec


def check_packable(placement: Placement | None, layout: str, params: Params) -> None:
    """Raises ShardingError for parameters that are not all sharded alike: one array holds leaves of all of them."""
    if placement is None or not placement.is_split or layout not in ("packed", "tiled"):
        return
    first, paths = partition_spec(placement.specs[0]), leaf_paths(jax.tree.structure(params))
    for path, spec in zip(paths, map(partition_spec, placement.specs), strict=False):
        if spec != first:
            what = f"layout={layout!r} keeps all leaves in one array, but {paths[0]!r} is sharded as {first}"
            raise ShardingError(message(f"{what} and this one as {spec}", f"leaf {path!r}", 'use layout="tree"'))


def specs_of(function: Function, placement: Placement) -> dict[Key, Spec]:
    """The spec of every array that a function takes, by path and shape; those that are replicated are left out.

    Raises ShardingError where two arrays of one path and shape are split differently, such as the factored rows and
    columns of a square matrix.
    """
    found: dict[Key, Spec] = {}
    for keys, specs in zip(*_by_argument(function, placement), strict=True):
        for key, spec in zip(keys, specs, strict=True):
            if found.setdefault(key, spec) != spec:
                first, other = partition_spec(found[key]), partition_spec(spec)
                what = f"two arrays of the shape {list(key[1])} are sharded differently, as {first} and {other}"
                raise ShardingError(message(what, f"leaf {key[0]!r}"))
    return {key: spec for key, spec in found.items() if any(spec)}


def state_shardings(function: Function, placement: Placement) -> list[NamedSharding]:
    """The sharding of every array of the state that a function takes, in flat order."""
    _, specs = _by_argument(function, placement)
    flat: dict[int, Spec] = {}
    for b, of_leaves in zip(function.signature.inputs, specs, strict=True):
        if b.slot.role is Role.STATE:
            flat.update(zip(b.places, of_leaves, strict=True) if b.group else [(b.places[0], ())])
    return [placement.sharding(flat[i]) for i in sorted(flat)]


def _by_argument(function: Function, placement: Placement) -> tuple[list[list[Key]], list[list[Spec]]]:
    """For each argument of a function the key and the spec of each of its arrays."""
    known = _of_params(function, placement)
    keys: list[list[Key]] = []
    specs: list[list[Spec]] = []
    for b, argument in zip(function.signature.inputs, function.op.args, strict=True):
        if not b.group or b.packing is not None:
            keys.append([])
            specs.append([])
            continue
        assert isinstance(argument.type, TreeType)
        leaves = leaf_set(function.op, argument.type.leaves)
        keys.append([(leaf.path, shape) for leaf, shape in zip(leaves, b.shapes, strict=True)])
        reduced = dict(_reduced(argument, known)) if any(key not in known for key in keys[-1]) else {}
        nothing = [tuple(() for _ in shape) for shape in b.shapes]
        specs.append([known.get(k, reduced.get(k, n)) for k, n in zip(keys[-1], nothing, strict=True)])
    return keys, specs


def _of_params(function: Function, placement: Placement) -> dict[Key, Spec]:
    """The specs of the parameters, or, where a function takes none, of the updates in their place."""
    bindings = function.signature.inputs
    roles = {b.slot.role for b in bindings}
    role = Role.PARAMS if Role.PARAMS in roles else Role.UPDATES
    found: dict[Key, Spec] = {}
    for b, argument in zip(bindings, function.op.args, strict=True):
        if b.slot.role is role and isinstance(argument.type, TreeType):
            for leaf, shape, place in zip(leaf_set(function.op, argument.type.leaves), b.shapes, b.places, strict=True):
                spec = placement.specs[place]
                if len(spec) == len(shape):
                    found.setdefault((leaf.path, shape), spec)
    return found


def _reduced(argument: SSAValue, known: Mapping[Key, Spec]) -> Iterator[tuple[Key, Spec]]:
    """The specs of arrays that are reshaped to folds over axes of parameters: the axes that are kept keep theirs."""
    for use in argument.uses:
        op = use.operation
        if op.has_trait(Regroups):
            for part in op.results:
                yield from _reduced(part, known)
        elif op.has_trait(MovesValues) and isinstance(op.results[0].type, TreeType) and op.results[0].type.has_axes:
            type_ = op.results[0].type
            assert isinstance(argument.type, TreeType)
            extent = type_.extent.data
            pairs = zip(leaf_set(op, argument.type.leaves), leaf_set(op, type_.leaves), strict=True)
            for own, whole in pairs:
                kept = [axis for axis in whole.kept(extent) if whole.shape[axis] > 1]
                sizes = [axis for axis, n in enumerate(own.shape) if n > 1]
                spec = known.get((whole.path, whole.shape))
                if spec and [own.shape[i] for i in sizes] == [whole.shape[i] for i in kept]:
                    places = dict(zip(sizes, kept, strict=True))
                    new = tuple(spec[places[i]] if i in places else () for i in range(len(own.shape)))
                    yield (own.path, own.shape), new
