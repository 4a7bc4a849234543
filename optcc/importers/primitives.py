"""Emits one JAX primitive on scalars: step-level arithmetic, or the body of a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from xdsl.ir import Block, SSAValue

from optcc.base import Params
from optcc.dtypes import compute_dtype, dtype_of, type_of
from optcc.formula import scalar_code

_ARITHMETIC = {"add": "add", "add_any": "add", "sub": "sub", "mul": "mul", "div": "div", "max": "max", "min": "min"}
_LOGIC = frozenset({"and", "or", "xor"})
_COMPARE = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
_EQUALITY = frozenset({"eq", "ne"})
SAME = frozenset({"copy", "copy_p"})
"""Primitives that give their operand."""

ELEMENTWISE = (
    frozenset(_ARITHMETIC)
    | _LOGIC
    | _COMPARE
    | scalar_code.UNARY
    | SAME
    | {"rem", "pow", "integer_pow", "square", "sign", "cbrt", "is_finite", "logistic", "clamp", "select_n", "not"}
    | {"convert_element_type", "reduce_precision"}
)
"""Primitives that work on each element alone. Not all of them have a counterpart for all dtypes."""


RESHAPES = frozenset({"broadcast_in_dim", "reshape", "squeeze", "expand_dims"})
REDUCTIONS = {"reduce_sum": "add", "reduce_max": "max", "reduce_min": "min", "reduce_and": "and", "reduce_or": "or"}
FOLDS = {"add": "add", "add_any": "add", "max": "max", "min": "min", "and": "and", "or": "or"}
NOTHING = {
    "reduce_sum": 0.0,
    "reduce_max": float("-inf"),
    "reduce_min": float("inf"),
    "reduce_and": True,
    "reduce_or": False,
}
"""What a fold of no elements gives. An array without elements may not depend on its leaf, of whose lane it would be."""


class NotImportedError(Exception):
    """What the IR has no counterpart for: the text says which equation, and why."""


def emit_primitive(block: Block, name: str, parameter: Any, args: Sequence[SSAValue], dtype: np.dtype) -> SSAValue:
    """Emit a primitive of `ELEMENTWISE` with a result of the numpy dtype `dtype`.

    `parameter` is that of `parameter_of`. Narrow floats are computed with in float32; a conversion to one rounds.
    Raises NotImportedError.
    """
    kind = dtype_of(args[0].type)
    if name in ("convert_element_type", "reduce_precision"):
        return _convert(block, args[0], dtype if name == "convert_element_type" else parameter)
    if name in SAME:
        return args[0]
    if name == "select_n" and kind == np.bool_ and len(args) == 3:
        return scalar_code.select(block, args[0], args[2], args[1])
    if kind == np.bool_:
        result = _on_bools(block, name, args)
    elif jnp.issubdtype(kind, jnp.floating):
        result = _on_floats(block, name, parameter, args)
    elif jnp.issubdtype(kind, jnp.signedinteger):
        result = _on_integers(block, name, parameter, args)
    else:
        result = None
    if result is None:
        raise NotImportedError(f"the IR has no {name} of {kind.name}")
    return result


def parameter_of(name: str, params: Params) -> Any:
    """What of an elementwise equation's parameters changes its meaning. Raises NotImportedError."""
    match name:
        case "integer_pow":
            return params["y"]
        case "reduce_precision":
            bits = params["exponent_bits"], params["mantissa_bits"]
            formats = {(8, 23): np.float32, (8, 7): jnp.bfloat16, (5, 10): np.float16, (11, 52): np.float64}
            if bits not in formats:
                raise NotImportedError("no dtype of the IR has that precision")
            return np.dtype(formats[bits])
        case "cbrt":
            return None
        case _ if params.get("accuracy") is not None:
            raise NotImportedError("it asks for an accuracy")
        case _:
            return None


def _convert(block: Block, value: SSAValue, dtype: np.dtype) -> SSAValue:
    old = dtype_of(value.type)
    if np.dtype(dtype) == np.bool_:
        return value if old == np.bool_ else scalar_code.compare(block, "ne", value, _number(block, 0, value))
    if jnp.issubdtype(dtype, jnp.unsignedinteger) or jnp.issubdtype(old, jnp.unsignedinteger):
        raise NotImportedError(f"the IR does not convert {old.name} to {np.dtype(dtype).name}")
    narrow = compute_dtype(dtype) != np.dtype(dtype)
    if narrow and old != np.float64:
        value = scalar_code.cast(block, value, type_of(np.float32))
    value = scalar_code.cast(block, value, type_of(dtype))
    return scalar_code.cast(block, value, type_of(np.float32)) if narrow else value


def _number(block: Block, value: float, like: SSAValue) -> SSAValue:
    return scalar_code.constant(block, value, like.type)


def _on_bools(block: Block, name: str, args: Sequence[SSAValue]) -> SSAValue | None:
    if name in _LOGIC:
        return scalar_code.binary(block, name, *args)
    if name in _EQUALITY:
        return scalar_code.compare(block, name, *args)
    return scalar_code.binary(block, "xor", args[0], _number(block, 1, args[0])) if name == "not" else None


def _on_integers(block: Block, name: str, parameter: Any, args: Sequence[SSAValue]) -> SSAValue | None:
    x = args[0]
    match name:
        case "rem" | "and" | "or" | "xor":
            return scalar_code.binary(block, name, *args)
        case "neg":
            return scalar_code.binary(block, "sub", _number(block, 0, x), x)
        case "abs":
            return scalar_code.binary(block, "max", x, scalar_code.binary(block, "sub", _number(block, 0, x), x))
        case "square":
            return scalar_code.binary(block, "mul", x, x)
        case "integer_pow" if parameter > 0:
            return scalar_code.integer_power(block, x, parameter)
        case "clamp":
            return _clamp(block, args)
        case "sign":
            return _clamp(block, (_number(block, -1, x), x, _number(block, 1, x)))
        case _ if name in _COMPARE:
            return scalar_code.compare(block, name, *args)
        case _ if name in _ARITHMETIC and name != "div":
            return scalar_code.binary(block, _ARITHMETIC[name], *args)
        case _:
            return None


def _on_floats(block: Block, name: str, parameter: Any, args: Sequence[SSAValue]) -> SSAValue | None:
    x = args[0]
    match name:
        case _ if name in _ARITHMETIC:
            return scalar_code.binary(block, _ARITHMETIC[name], *args)
        case _ if name in _COMPARE:
            return scalar_code.compare(block, name, *args)
        case _ if name in scalar_code.UNARY:
            return scalar_code.unary(block, name, x)
        case "square":
            return scalar_code.binary(block, "mul", x, x)
        case "integer_pow" if parameter > 0:
            return scalar_code.integer_power(block, x, parameter)
        case "integer_pow" if parameter < 0:
            power = scalar_code.integer_power(block, x, -parameter)
            return scalar_code.binary(block, "div", _number(block, 1, x), power)
        case "pow":
            return scalar_code.binary(block, "pow", x, scalar_code.cast(block, args[1], x.type))
        case "sign":
            return scalar_code.sign(block, x)
        case "is_finite":
            return scalar_code.compare(block, "lt", scalar_code.unary(block, "abs", x), _number(block, float("inf"), x))
        case "logistic":
            one = _number(block, 1, x)
            power = scalar_code.unary(block, "exp", scalar_code.unary(block, "neg", x))
            return scalar_code.binary(block, "div", one, scalar_code.binary(block, "add", one, power))
        case "cbrt":
            third = _number(block, 1 / 3, x)
            root = scalar_code.binary(block, "pow", scalar_code.unary(block, "abs", x), third)
            return scalar_code.binary(block, "mul", scalar_code.sign(block, x), root)
        case "clamp":
            return _clamp(block, args)
        case _:
            return None


def _clamp(block: Block, args: Sequence[SSAValue]) -> SSAValue:
    low, value, high = args
    return scalar_code.binary(block, "min", scalar_code.binary(block, "max", value, low), high)
