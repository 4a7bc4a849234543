"""The initial state made directly: constants are put where the parameters live, without a program that is compiled.

A program with a result for each of thousands of leaves takes seconds to compile. What is computed from parameters is
computed op by op, in programs as small as one leaf.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from optcc.dialect import Role, TreeType, leaf_set
from optcc.interpret import interpreter
from optcc.program.arrays import keys_to_data
from optcc.program.program import Function
from optcc.program.signature import Binding
from optcc.program.storage import Packing


def is_direct(*trees: Any) -> bool:
    """Whether arrays are made at once: nothing is being traced, neither here nor in these pytrees."""
    # What is put on the device within a trace is a tracer.
    probe = jax.device_put(np.zeros((), np.int32))
    return not any(isinstance(x, Tracer) for x in [probe, *jax.tree.leaves(trees)])


def initial_arrays(
    function: Function,
    params: Sequence[jax.Array],
    hypers: Sequence[jax.Array] = (),
    shardings: Sequence[Any] | None = None,
) -> list[Any]:
    """The flat arrays of the state that `@init` makes from those of the parameters, all of them new.

    Each is put where `shardings` says. Without them an array with the shape of its parameter is put where that is, if
    the parameter was put somewhere by its user.
    """
    program, signature = function.program, function.signature
    values = signature.arguments([*keys_to_data(params), *hypers], operator.getitem)
    callables = {name: _copying(f) for name, f in program.callables.items()}
    run = interpreter.Run(program.bindings, callables, on_host=True)
    results = run.block(function.op.body.block, values)
    stored: list[Any] = []
    for b, v in zip(signature.outputs, results, strict=True):
        stored.append(_packed(b.packing, v) if b.packing and isinstance(v, Sequence) else v)
    if shardings is None:
        homes = _homes(function, params)
        names = _leaves(function.op, signature.outputs, function.op.function_type.outputs)
        shardings = [homes.get(leaf) for leaf in signature.results(names)]
    placed = _put(signature.results(stored), shardings)
    return own_arrays(signature.data_to_keys(placed), [*params, *program.bindings.values()])


def _copying(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with results of their own: a key that the user keeps must survive the donation of the state."""
    return lambda *values: jax.tree.map(jnp.copy, function(*values))


def _packed(packing: Packing, arrays: Sequence[Any]) -> Any:
    """Leaves in one array, which is constant if they are."""
    numbers = {_number(x) for x in arrays if np.size(x)}
    if len(numbers) == 1 and None not in numbers and arrays[0].dtype.type(0).tobytes() in numbers:
        return np.broadcast_to(arrays[0].dtype.type(0), packing.array_shape)
    return packing.pack(arrays)


def _number(x: Any) -> bytes | None:
    """The bytes of the one number that an array on the host is a view of."""
    is_view = isinstance(x, np.generic) or (isinstance(x, np.ndarray) and not any(x.strides))
    return x.ravel()[:1].tobytes() if is_view else None


def _homes(function: Function, params: Sequence[jax.Array]) -> dict[Any, Any]:
    """Where the parameter of each leaf is, by path and shape; those that JAX may move freely are left out."""
    bindings = function.signature.inputs
    found: dict[Any, Any] = {}
    for b, leaves in zip(bindings, _leaves(function.op, bindings, function.op.function_type.inputs), strict=True):
        for place, leaf in zip(b.places, leaves or (), strict=False):
            if b.slot.role is Role.PARAMS and getattr(params[place], "committed", False):
                found.setdefault(leaf, params[place].sharding)
    return found


def _leaves(op: FuncOp, bindings: Sequence[Binding], types: Iterable[Attribute]) -> list[Any]:
    """For each array of each binding the path and the shape of its leaf; None for an array of no leaf or of several."""
    found: list[Any] = []
    for b, type_ in zip(bindings, types, strict=True):
        if b.is_one_array or not isinstance(type_, TreeType):
            found.append(None)
            continue
        found.append([(leaf.path, shape) for leaf, shape in zip(leaf_set(op, type_.leaves), b.shapes, strict=True)])
    return found


def _put(arrays: Sequence[jax.Array], homes: Sequence[Any]) -> list[Any]:
    """Arrays on the devices, each at its home if it has one."""
    made = [np.array(x) if isinstance(x, np.generic | np.ndarray) else x for x in map(_materialized, arrays)]
    settled = [i for i, home in enumerate(homes) if home is not None]
    free = [i for i, home in enumerate(homes) if home is None]
    at_home = jax.device_put([made[i] for i in settled], [homes[i] for i in settled])
    anywhere = jax.device_put([made[i] for i in free])
    found = dict(zip([*settled, *free], [*at_home, *anywhere], strict=True))
    return [found[i] for i in range(len(made))]


def _materialized(x: object) -> Any:
    """An array with memory of its own in the place of a view of one number. Of zeros the system reserves it only."""
    if not isinstance(x, np.ndarray) or any(x.strides) or not x.size:
        return x
    zeros = x.ravel()[:1].tobytes() == np.zeros(1, x.dtype).tobytes()
    return np.zeros(x.shape, x.dtype) if zeros else x


def own_arrays(arrays: Sequence[jax.Array], others: Sequence[jax.Array]) -> list[Any]:
    """Arrays none of which is one of the others, such as parameters, and none twice, so that all may be donated."""
    taken = {id(x) for x in others}
    out: list[Any] = []
    for x in arrays:
        mine = x.copy() if id(x) in taken else x
        taken.add(id(mine))
        out.append(mine)
    return out
