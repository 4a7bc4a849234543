"""The JAX primitive `optcc_update`: runs a program's sweeps inside any computation JAX compiles.

Lowering inlines our StableHLO into the module that is being built. Differentiation and batching evaluate the program
with the reference interpreter instead, and leave the rest to JAX.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import AxisType
from jaxlib.mlir import ir
from xdsl.ir import Operation

from optcc.dialect import KeyType, TreeType
from optcc.dtypes import dtype_of
from optcc.interpret import interpreter
from optcc.logs import log
from optcc.lowering.backend import Site
from optcc.lowering.packed_values import Element, view_of
from optcc.program.arrays import data_shapes, keys_to_data
from optcc.program.program import Function
from optcc.runtime.aliases import pair_by_path
from optcc.runtime.backends import backend_at, log_backends
from optcc.runtime.collector import collector_paused


@dataclass(frozen=True, eq=False)
class BoundFunction:
    """A function of sweeps as the primitive takes it: the caller's flat arrays, then those of hyperparameters.

    Compared by identity: one object, one compilation.
    """

    function: Function
    backend: str = "auto"

    @cached_property
    def out_avals(self) -> list[jax.ShapeDtypeStruct]:
        """Shapes and dtypes of the flat results, of keys those of their data."""
        return data_shapes(self.function.signature.out_arrays)

    @cached_property
    def jitted(self) -> Any:
        """The function for calls outside any trace; made once, so that the second call finds it compiled."""

        def optcc_update(*arrays: Any) -> Any:
            return optcc_update_p.bind(*arrays, executable=self)

        return jax.jit(optcc_update)

    def run(self, arrays: Sequence[jax.Array]) -> list[Any]:
        """The flat results on flat arrays, within a trace or at once."""
        return bind(self, arrays)

    def interpret(self, *arrays: Any) -> list[Any]:
        """Evaluate in jax.numpy."""
        signature, program = self.function.signature, self.function.program
        values = signature.arguments(arrays, operator.getitem)
        arguments = [b.packing.unpack(v) if b.packing else v for b, v in zip(signature.inputs, values, strict=True)]
        results = interpreter.evaluate(program.module, self.function.name, arguments, callables=program.callables)
        packed = [b.packing.pack(v) if b.packing else v for b, v in zip(signature.outputs, results, strict=True)]
        return signature.results(packed)


_DEVICE_MEMORY = jax.memory.Space.Device

optcc_update_p = Primitive("optcc_update")
optcc_update_p.multiple_results = True


def bind(executable: BoundFunction, arrays: Sequence[jax.Array]) -> list[Any]:
    """Run an executable on flat arrays, within a trace or at once."""
    if not arrays:
        # JAX does not give a primitive without operands to the trace. Nothing but counts can be in such a state.
        return executable.function.signature.data_to_keys([jnp.asarray(x) for x in executable.interpret()])
    results = optcc_update_p.bind(*keys_to_data(arrays), executable=executable)
    return executable.function.signature.data_to_keys(results)


@optcc_update_p.def_impl
def _run(*arrays: Any, executable: BoundFunction) -> Any:
    return executable.jitted(*arrays)


@optcc_update_p.def_abstract_eval
def _shapes(*avals: Any, executable: BoundFunction) -> list[Any]:
    if any(is_placed(aval) for aval in avals):
        # A type without varying axes claims that all devices hold the same value, and JAX then sums the next gradient
        # over them. The interpreter is jax.numpy, so its results have the types that Optax's would have.
        return list(jax.make_jaxpr(executable.interpret)(*avals).out_avals)
    make = type(avals[0])
    return [make(x.shape, x.dtype) for x in executable.out_avals]


def is_placed(aval: Any) -> bool:
    """Whether the type of an array says more than shape and dtype: varying axes, an explicit mesh, a memory space."""
    kind = aval.manual_axis_type
    return bool(
        kind.varying
        or kind.unreduced
        or kind.reduced
        or AxisType.Explicit in aval.sharding.mesh.axis_types
        or aval.memory_space != _DEVICE_MEMORY
    )


def _jvp(primals: Sequence[jax.Array], tangents: Sequence[jax.Array], *, executable: BoundFunction):
    tangents = [ad.instantiate_zeros(t) for t in tangents]
    return jax.jvp(lambda *xs: executable.interpret(*xs), tuple(primals), tuple(tangents))


def _batch(arrays: Sequence[jax.Array], dims: Sequence[int | None], *, executable: BoundFunction):
    axes = tuple(d if isinstance(d, int) else None for d in dims)
    out = jax.vmap(lambda *xs: executable.interpret(*xs), in_axes=axes)(*arrays)
    return out, [0] * len(out)


@collector_paused()
def _lower(ctx: mlir.LoweringRuleContext, *values: Any, executable: BoundFunction, platform: str) -> Sequence[Any]:
    signature = executable.function.signature
    arguments = signature.arguments(values, Element)
    module = ctx.module_context
    site = Site(module.module, module.symbol_table.insert, partial(_lower_call, ctx, executable))
    pair_by_path(module.module)
    partitioned = _is_partitioned(ctx)
    backend = executable.backend
    if backend == "auto" and module.lowering_parameters.for_export:
        backend = "stablehlo"  # a file that runs anywhere; who asks for native kernels gets them
    log("recompile", f"@{executable.function.name} for {platform}, {len(ctx.avals_in)} arrays: {_summary(ctx)}")
    log_backends(executable.function.op, backend, platform, partitioned=partitioned)
    lowering = backend_at(site, backend, platform, partitioned=partitioned)
    views = [view_of(v, b.packing) if b.packing else v for v, b in zip(arguments, signature.inputs, strict=True)]
    out = lowering.lower(executable.function.op, views, [b.packing for b in signature.outputs])
    flat = signature.results(out)
    return [_place(ctx, value, aval) for value, aval in zip(flat, ctx.avals_out, strict=True)]


def _summary(ctx: mlir.LoweringRuleContext) -> str:
    """The first of the arrays that a function takes."""
    return ", ".join(aval.str_short() for aval in ctx.avals_in[:3]) + (", ..." if len(ctx.avals_in) > 3 else "")


def _is_partitioned(ctx: mlir.LoweringRuleContext) -> bool:
    """Whether XLA partitions the module."""
    axes = ctx.module_context.axis_context
    if isinstance(axes, mlir.SPMDAxisContext):
        return any(size > 1 and name not in axes.manual_axes for name, size in axes.mesh.shape.items())
    return isinstance(axes, mlir.ShardingContext) and axes.num_devices > 1


def _place(ctx: mlir.LoweringRuleContext, value: Any, aval: Any) -> Any:
    """A result with the sharding that its type promises on explicit axes."""
    if AxisType.Explicit not in aval.sharding.mesh.axis_types:
        return value
    rule = mlir.lower_fun(lambda x: jax.sharding.reshard(x, aval.sharding), multiple_results=False)
    return rule(ctx.replace(primitive=None, avals_in=[aval], avals_out=[aval]), value)[0]


def _lower_call(
    ctx: mlir.LoweringRuleContext, executable: BoundFunction, op: Operation, values: Sequence[Any]
) -> list[Any]:
    """Trace the interpretation of an op, and lower it where the op stands."""

    def function(*values: Any) -> Sequence[Any]:
        return interpreter.evaluate_op(op, values, executable.function.program.callables)

    structure = jax.tree.structure(values)
    flat = jax.tree.leaves(values)
    avals = [
        _aval(ctx, v, t) for value, t in zip(values, op.operand_types, strict=True) for v in jax.tree.leaves(value)
    ]
    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]

    def flat_function(*arrays: Any) -> list[Any]:
        return jax.tree.leaves(function(*jax.tree.unflatten(structure, arrays)))

    out_avals = [_like(ctx, s.shape, s.dtype) for s in jax.eval_shape(flat_function, *shapes)]
    rule = mlir.lower_fun(flat_function, multiple_results=True)
    out = iter(rule(ctx.replace(primitive=None, avals_in=avals, avals_out=out_avals), *flat))
    shapes_out = jax.eval_shape(lambda *xs: function(*jax.tree.unflatten(structure, xs)), *shapes)
    return [[next(out) for _ in s] if isinstance(s, list | tuple) else next(out) for s in shapes_out]


def _aval(ctx: mlir.LoweringRuleContext, value: Any, type_: Any) -> Any:
    element = type_.element if isinstance(type_, TreeType) else type_
    dtype = np.dtype(np.uint32) if isinstance(type_, KeyType) else dtype_of(element)
    return _like(ctx, tuple(ir.RankedTensorType(value.type).shape), dtype)


def _like(ctx: mlir.LoweringRuleContext, shape: Sequence[int], dtype: Any) -> Any:
    """An abstract array of the class that this trace uses."""
    make: Any = type(ctx.avals_in[0])
    return make(tuple(shape), dtype)


ad.primitive_jvps[optcc_update_p] = _jvp
batching.primitive_batchers[optcc_update_p] = _batch
mlir.register_lowering(optcc_update_p, partial(_lower, platform="other"))
for _platform in ("cpu", "cuda", "rocm", "tpu"):
    mlir.register_lowering(optcc_update_p, partial(_lower, platform=_platform), platform=_platform)
