"""Functions on a mesh of devices: each device runs the program on its parts of the arrays, through `jax.shard_map`.

XLA's partitioner would gather what a native kernel takes. Here no partitioner sees the kernels: the pass `shard` has
given the program the shapes of one device's parts, and the collectives between sweeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import jax
from jax.core import Tracer
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import PassFailedException

from optcc.base import PyTree
from optcc.dialect import Role, TreeType, context, leaf_set, leaf_tables
from optcc.errors import ShardingError, message
from optcc.passes.shard import Shard
from optcc.program.arrays import data_shapes
from optcc.program.placement import Placement, partition_spec, specs_of, state_shardings
from optcc.program.program import Function
from optcc.program.signature import ROLES, Binding
from optcc.runtime.primitive import BoundFunction, bind


class OnMesh:
    """A function on whole arrays that runs device by device, as `local` says.

    Without a `local` XLA partitions it, and results are put where they belong. Within another mesh, as in a user's
    `shard_map`, `whole` runs as it is. `function` is the one on whole arrays, whose pytrees the caller has.
    """

    def __init__(self, whole: BoundFunction, placement: Placement, local: Function | None = None) -> None:
        self.whole = whole
        self.function = whole.function
        self.placement = placement
        self.local = local

    @cached_property
    def _jitted(self) -> Any:
        run = partial(bind, self.whole) if self.local is None else self._by_device(self.local)
        homes = self._homes()

        def optcc_on_mesh(*arrays: Any) -> Any:
            pairs = zip(run(arrays), homes, strict=True)
            return [x if home is None else jax.lax.with_sharding_constraint(x, home) for x, home in pairs]

        return jax.jit(optcc_on_mesh)

    def _by_device(self, local: Function) -> Any:
        signature, bound = local.signature, BoundFunction(local, self.whole.backend)
        given = _flat_specs(local, signature.inputs, results=False)
        made = _flat_specs(local, signature.outputs, results=True)
        given += [PartitionSpec()] * len(signature.hyper_dtypes)

        def optcc_parts(*arrays: Any) -> Any:
            return tuple(bind(bound, arrays))

        # Without `check_vma`, which would trace the interpreter for the types of all results.
        parts = jax.shard_map(
            optcc_parts, mesh=self.placement.mesh, in_specs=tuple(given), out_specs=tuple(made), check_vma=False
        )
        return lambda arrays: parts(*arrays)

    def _homes(self) -> list[NamedSharding | None]:
        """Where each flat result is put; None where it is already, or where that is not known."""
        signature, placement = self.function.signature, self.placement
        state = state_shardings(self.function, placement)
        found: list[NamedSharding | None] = []
        for role in ROLES:
            shapes = signature.shapes(role, results=True)
            homes = state if role is Role.STATE else placement.given
            is_there = self.local is not None and (role is Role.STATE or not placement.held)
            fit = len(homes) == len(shapes) and all(
                len(home.spec) <= len(x.shape) for home, x in zip(homes, shapes, strict=True)
            )
            found += [None] * len(shapes) if is_there or not fit else homes
        return found

    def run(self, arrays: Sequence[jax.Array]) -> list[Any]:
        """The flat results, from the flat arrays and those of hyperparameters."""
        current = jax.sharding.get_abstract_mesh()
        if not current.empty and current != self.placement.mesh.abstract_mesh:
            return bind(self.whole, arrays)
        return list(self._jitted(*arrays))


def on_mesh(whole: BoundFunction, placement: Placement) -> OnMesh | BoundFunction:
    """What runs a function on a mesh: device by device, or, where that cannot be, partitioned by XLA."""
    if whole.function.packed or AxisType.Explicit in placement.mesh.axis_types:
        return whole
    try:
        return OnMesh(whole, placement, per_device(whole.function, placement))
    except ShardingError:  # reports ask `per_device` for the reason
        return OnMesh(whole, placement)


def per_device(function: Function, placement: Placement) -> Function:
    """The function on one device's parts of the arrays. Raises ShardingError where there is none, which says why."""
    if function.packed:
        raise ShardingError(message("packed arrays are not cut into parts"))
    if AxisType.Explicit in placement.mesh.axis_types:
        raise ShardingError(message("the mesh has explicit axes, on which JAX keeps the shardings"))
    specs = specs_of(function, placement)
    tables = [op.clone() for op in leaf_tables(function.program.module)]
    hosts = [function.host.clone()] if function.host else []
    module = ModuleOp([*tables, *hosts, function.op.clone()])
    try:
        Shard.of(placement.sizes, specs).apply(context(), module)
    except PassFailedException as error:
        raise ShardingError(str(error)) from error
    return function.program.with_module(module).function(function.name)


def _flat_specs(function: Function, bindings: Sequence[Binding], *, results: bool) -> list[PartitionSpec]:
    """The specs of the caller's flat arrays, of one pytree after the other."""
    types = function.op.function_type.outputs if results else function.op.function_type.inputs
    flat: dict[tuple[int, int], PartitionSpec] = {}
    for b, type_ in zip(bindings, types, strict=True):
        if b.slot.role is Role.HYPER:
            continue
        specs = [PartitionSpec()]
        if isinstance(type_, TreeType):
            specs = [_spec(function, leaf, type_.extent.data) for leaf in leaf_set(function.op, type_.leaves)]
        flat.update({(ROLES.index(b.slot.role), i): spec for i, spec in zip(b.places, specs, strict=True)})
    return [flat[key] for key in sorted(flat)]


def _spec(function: Function, leaf: Any, extent: str) -> PartitionSpec:
    kept = leaf.kept(extent)
    rank = len(leaf.shape_of(extent))
    axes = [tuple(s.mesh_axis for s in leaf.splits if s.axis == i and i in kept) for i in range(rank)]
    return partition_spec(tuple(axes))


def lies_as(tree: PyTree, shardings: Sequence[NamedSharding]) -> bool:
    """Whether every array of a pytree is where it is said to be, or may be put there; a tracer is."""
    leaves = jax.tree.leaves(tree)
    return len(leaves) == len(shardings) and all(map(_lies_at, leaves, shardings))


def _lies_at(x: Any, sharding: NamedSharding) -> bool:
    if isinstance(x, Tracer) or not getattr(x, "committed", False):
        return True
    own = x.sharding
    return own is sharding or own == sharding or own.is_equivalent_to(sharding, x.ndim)


def shapes_on_mesh(shapes: PyTree, placement: Placement, state: Sequence[NamedSharding] | None) -> Any:
    """The shapes of parameters, state, gradients, hyperparameters and extra arguments with their shardings.

    Gradients are where their parameters are. Without `state`, what is no parameter is replicated.
    """
    params, old, grads, hypers, extra = shapes
    given = placement.given
    fast = given[: len(jax.tree.leaves(grads))]  # of `LookaheadParams` those that gradients are taken of
    whole = placement.sharding(())
    return (
        _placed(params, given),
        _placed(old, state or [whole] * len(jax.tree.leaves(old))),
        _placed(grads, fast),
        *(jax.tree.map(lambda x: _at(x, whole), rest) for rest in (hypers, extra)),
    )


def _placed(tree: PyTree, shardings: Sequence[NamedSharding]) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure.unflatten(map(_at, leaves, shardings))


def _at(x: Any, sharding: NamedSharding) -> Any:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def device_bytes(tree: PyTree) -> int:
    """The bytes of a pytree of shapes and dtypes on one device."""
    total = 0
    for x in jax.tree.leaves(tree):
        shape = x.sharding.shard_shape(x.shape) if isinstance(getattr(x, "sharding", None), NamedSharding) else x.shape
        total += sum(y.size * y.dtype.itemsize for y in data_shapes([jax.ShapeDtypeStruct(shape, x.dtype)]))
    return total
