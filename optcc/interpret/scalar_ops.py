"""The interpreter's rules for scalar ops: `arith`, `math` and `complex`, on arrays of any one shape."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects import arith, math
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import FloatAttr, IntegerAttr
from xdsl.ir import Operation

from optcc.dtypes import dtype_of
from optcc.interpret.interpreter import INTERPRETER, Array
from optcc.interpret.rounding import round_array, round_number

Form = Callable[..., Any]

_CMPF: dict[int, Form] = {
    1: operator.eq,
    2: operator.gt,
    3: operator.ge,
    4: operator.lt,
    5: operator.le,
    8: lambda a, b: ~((a < b) | (a > b)),
    13: operator.ne,
}
"""By xDSL's predicate number: oeq, ogt, oge, olt, ole, ueq, une."""
_CMPI: dict[int, Form] = {
    0: operator.eq,
    1: operator.ne,
    2: operator.lt,
    3: operator.le,
    4: operator.gt,
    5: operator.ge,
}
_ELEMENTWISE: dict[type[Operation], Form] = {
    arith.AddfOp: operator.add,
    arith.SubfOp: operator.sub,
    arith.MulfOp: operator.mul,
    arith.DivfOp: operator.truediv,
    arith.NegfOp: operator.neg,
    arith.MaximumfOp: jnp.maximum,
    arith.MinimumfOp: jnp.minimum,
    arith.AddiOp: operator.add,
    arith.SubiOp: operator.sub,
    arith.MuliOp: operator.mul,
    arith.MaxSIOp: jnp.maximum,
    arith.MinSIOp: jnp.minimum,
    arith.RemSIOp: lax.rem,
    arith.AndIOp: operator.and_,
    arith.OrIOp: operator.or_,
    arith.XOrIOp: operator.xor,
    arith.SelectOp: jnp.where,
    complex_dialect.AbsOp: jnp.abs,
    complex_dialect.AddOp: operator.add,
    complex_dialect.CreateOp: lambda re, im: lax.complex(*jnp.broadcast_arrays(re, im)),
    complex_dialect.ImOp: jnp.imag,
    complex_dialect.ReOp: jnp.real,
    math.AbsFOp: jnp.abs,
    math.CeilOp: jnp.ceil,
    math.CosOp: jnp.cos,
    math.ExpOp: jnp.exp,
    math.ExpM1Op: jnp.expm1,
    math.FloorOp: jnp.floor,
    math.LogOp: jnp.log,
    math.Log1pOp: jnp.log1p,
    math.PowFOp: jnp.power,
    math.RsqrtOp: lax.rsqrt,
    math.SinOp: jnp.sin,
    math.SqrtOp: jnp.sqrt,
    math.TanhOp: jnp.tanh,
}
_NUMPY: dict[type[Operation], Form] = {
    arith.MaximumfOp: np.maximum,
    arith.MinimumfOp: np.minimum,
    arith.MaxSIOp: np.maximum,
    arith.MinSIOp: np.minimum,
    arith.RemSIOp: np.fmod,
    arith.SelectOp: lambda c, a, b: a if c else b,
    complex_dialect.AbsOp: np.abs,
    complex_dialect.CreateOp: lambda re, im: np.asarray([re, im]).view(np.result_type(re, np.complex64))[0],
    complex_dialect.ImOp: np.imag,
    complex_dialect.ReOp: np.real,
    math.AbsFOp: np.abs,
    math.CeilOp: np.ceil,
    math.CosOp: np.cos,
    math.ExpOp: np.exp,
    math.ExpM1Op: np.expm1,
    math.FloorOp: np.floor,
    math.LogOp: np.log,
    math.Log1pOp: np.log1p,
    math.PowFOp: np.power,
    math.RsqrtOp: lambda a: 1 / np.sqrt(a),
    math.SinOp: np.sin,
    math.SqrtOp: np.sqrt,
    math.TanhOp: np.tanh,
}
"""For numbers that Python computes: numpy keeps float64 where JAX, without x64, would not."""
CASTS = (
    arith.ExtFOp,
    arith.TruncFOp,
    arith.SIToFPOp,
    arith.UIToFPOp,
    arith.FPToSIOp,
    arith.ExtSIOp,
    arith.ExtUIOp,
    arith.TruncIOp,
)
"""The ops that convert from one scalar type to another."""


@INTERPRETER.register_scalar(arith.ConstantOp)
def _constant(op: arith.ConstantOp, args: Sequence[Array]) -> Array:
    assert isinstance(op.value, FloatAttr | IntegerAttr)
    return np.asarray(op.value.value.data, dtype_of(op.result.type))[()]


@INTERPRETER.register_scalar(*CASTS)
def _cast(op: Operation, args: Sequence[Array]) -> Array:
    return cast(args[0], dtype_of(op.results[0].type))


@INTERPRETER.register_scalar(arith.CmpfOp)
def _compare_floats(op: arith.CmpfOp, args: Sequence[Array]) -> Array:
    return _CMPF[op.predicate.value.data](*args)


@INTERPRETER.register_scalar(arith.CmpiOp)
def _compare_integers(op: arith.CmpiOp, args: Sequence[Array]) -> Array:
    return _CMPI[op.predicate.value.data](*args)


@INTERPRETER.register_scalar(*_ELEMENTWISE)
def _elementwise(op: Operation, args: Sequence[Array]) -> Array:
    if all(isinstance(a, np.generic) for a in args):
        with np.errstate(all="ignore"):
            return _NUMPY.get(type(op), _ELEMENTWISE[type(op)])(*args)
    return _ELEMENTWISE[type(op)](*args)


def cast(value: Array, dtype: np.dtype) -> Array:
    """Convert to another dtype, rounding once."""
    if isinstance(value, np.generic):
        return np.asarray(round_number(value, dtype))[()]
    if dtype in (np.float16, jnp.bfloat16) and jnp.asarray(value).dtype in (np.float32, np.float64):
        return round_array(jnp.asarray(value), dtype)
    return lax.convert_element_type(value, dtype)
