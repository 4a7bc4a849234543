"""Imports a scalar JAX function, such as a learning-rate schedule, as step-level arithmetic of the IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.core import Tracer
from jax.extend import core as jex_core
from jax.extend.core import JaxprEqn
from xdsl.ir import Block, SSAValue

from optcc.dtypes import dtype_of, type_of
from optcc.errors import message
from optcc.formula import scalar_code

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar

_BINARY = {
    "add": "add",
    "add_any": "add",
    "sub": "sub",
    "mul": "mul",
    "div": "div",
    "max": "max",
    "min": "min",
    "rem": "rem",
    "and": "and",
    "or": "or",
    "xor": "xor",
}
_COMPARE = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
_CALLS = frozenset({"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call"})
_SAME = frozenset({"copy", "stop_gradient", "squeeze", "reshape", "broadcast_in_dim"})


class _UnsupportedError(Exception):
    """The jaxpr has something the IR has no scalar op for."""


def import_scalar_function(builder: Builder, function: Callable[..., Any], *arguments: Scalar) -> Scalar | None:
    """Emit `function` of scalars into the builder's function, or return None where that cannot be done.

    It cannot where the function uses an array, control flow, a traced value from outside, or an op without a scalar
    counterpart in `arith` or `math`; nothing is emitted then. Raises TypeError for a function that returns something
    else than one scalar, or that asks in Python what its argument is.
    """
    avals = [jax.ShapeDtypeStruct((), a.dtype) for a in arguments]
    where = f"{builder.where_in_chain}, {getattr(function, '__qualname__', function)}"
    try:
        closed = jax.make_jaxpr(function)(*avals)
    except jax.errors.ConcretizationTypeError as error:
        what = "a schedule asks in Python what the count is, which is known only when the step runs"
        fix = "write `if` as jnp.where or jax.lax.cond; optcc.join_schedules joins schedules at given steps"
        raise TypeError(message(what, where, fix)) from error
    if len(closed.out_avals) != 1 or closed.out_avals[0].shape != ():
        given = ", ".join(f"{a.dtype}{list(a.shape)}" for a in closed.out_avals)
        raise TypeError(message(f"a schedule must return one scalar, but this one returns {given}", where))
    scratch = Block(arg_types=[a.value.type for a in arguments])
    try:
        (result,) = _import(scratch, closed.jaxpr, closed.consts, list(scratch.args))
    except _UnsupportedError:
        return None
    for inner, outer in zip(scratch.args, arguments, strict=True):
        inner.replace_all_uses_with(outer.value)
        if result is inner:
            result = outer.value
    for op in list(scratch.ops):
        op.detach()
        builder.block.add_op(op)
    return builder.scalar(result, weak=bool(closed.out_avals[0].weak_type))


def _import(block: Block, jaxpr: Any, consts: Any, arguments: list[SSAValue]) -> list[SSAValue]:
    env: dict[Any, SSAValue] = dict(zip(jaxpr.invars, arguments, strict=True))
    for var, const in zip(jaxpr.constvars, consts, strict=True):
        env[var] = _literal(block, const, var.aval)

    def read(atom: Any) -> SSAValue:
        if isinstance(atom, jex_core.Literal):
            return _literal(block, atom.val, atom.aval)
        return env[atom]

    for eqn in jaxpr.eqns:
        if any(getattr(v.aval, "shape", None) != () for v in eqn.outvars):
            raise _UnsupportedError
        outputs = _equation(block, eqn, [read(v) for v in eqn.invars])
        env.update(zip(eqn.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _literal(block: Block, value: Any, aval: Any) -> SSAValue:
    if isinstance(value, Tracer) or aval.shape != ():
        raise _UnsupportedError
    try:
        return scalar_code.constant(block, np.asarray(value).item(), type_of(aval.dtype))
    except TypeError:
        raise _UnsupportedError from None


def _equation(block: Block, eqn: JaxprEqn, args: list[SSAValue]) -> list[SSAValue]:
    name = eqn.primitive.name
    floating = bool(args) and np.issubdtype(dtype_of(args[0].type), np.floating)
    if name in _CALLS:
        inner = eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))
        return _import(block, getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), args)
    if name in _BINARY and name != ("rem" if floating else "div"):
        return [scalar_code.binary(block, _BINARY[name], *args)]
    if name in _COMPARE:
        return [scalar_code.compare(block, name, *args)]
    if name in scalar_code.UNARY and floating:
        return [scalar_code.unary(block, name, *args)]
    if name in _SAME and len(args) == 1:
        return args
    match name:
        case "convert_element_type":
            return [scalar_code.cast(block, args[0], type_of(eqn.params["new_dtype"]))]
        case "integer_pow" if floating and eqn.params["y"] > 0:
            return [scalar_code.integer_power(block, args[0], eqn.params["y"])]
        case "integer_pow" if floating and eqn.params["y"] < 0:
            one = scalar_code.constant(block, 1.0, args[0].type)
            return [scalar_code.binary(block, "div", one, scalar_code.integer_power(block, args[0], -eqn.params["y"]))]
        case "pow" if floating:
            return [scalar_code.binary(block, "pow", args[0], scalar_code.cast(block, args[1], args[0].type))]
        case "square" if floating:
            return [scalar_code.binary(block, "mul", args[0], args[0])]
        case "select_n" if len(args) == 3:
            return [scalar_code.select(block, args[0], args[2], args[1])]
        case "clamp":
            low, value, high = args
            return [scalar_code.binary(block, "min", scalar_code.binary(block, "max", value, low), high)]
        case "sign" if floating:
            return [scalar_code.sign(block, args[0])]
        case "neg":
            return [scalar_code.binary(block, "sub", scalar_code.constant(block, 0, args[0].type), args[0])]
        case "not" if dtype_of(args[0].type) == np.bool_:
            return [scalar_code.binary(block, "xor", args[0], scalar_code.constant(block, 1, args[0].type))]
        case _:
            raise _UnsupportedError
