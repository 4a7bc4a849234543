"""Emits scalar ops: the same code serves map bodies and step-level arithmetic."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import AnyFloat, FloatAttr, IntegerAttr, IntegerType, f32
from xdsl.ir import Attribute, Block, Operation, SSAValue

_FLOAT_BINARY: dict[str, type[Operation]] = {
    "add": arith.AddfOp,
    "sub": arith.SubfOp,
    "mul": arith.MulfOp,
    "div": arith.DivfOp,
    "max": arith.MaximumfOp,
    "min": arith.MinimumfOp,
    "pow": math.PowFOp,
}
_INTEGER_BINARY: dict[str, type[Operation]] = {
    "add": arith.AddiOp,
    "sub": arith.SubiOp,
    "mul": arith.MuliOp,
    "max": arith.MaxSIOp,
    "min": arith.MinSIOp,
    "rem": arith.RemSIOp,
    "or": arith.OrIOp,
    "and": arith.AndIOp,
    "xor": arith.XOrIOp,
}
_UNARY: dict[str, Callable[[SSAValue], Operation]] = {
    "neg": arith.NegfOp,
    "sqrt": math.SqrtOp,
    "rsqrt": math.RsqrtOp,
    "abs": math.AbsFOp,
    "exp": math.ExpOp,
    "log": math.LogOp,
    "log1p": math.Log1pOp,
    "expm1": math.ExpM1Op,
    "sin": math.SinOp,
    "cos": math.CosOp,
    "tanh": math.TanhOp,
    "floor": math.FloorOp,
    "ceil": math.CeilOp,
}
_FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
_INTEGER_COMPARE = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}

UNARY = frozenset(_UNARY)


def _add(block: Block, op: Operation) -> SSAValue:
    block.add_op(op)
    return op.results[0]


def constant(block: Block, value: float, type_: Attribute) -> SSAValue:
    """A literal of any scalar type."""
    if isinstance(type_, IntegerType):
        return _add(block, arith.ConstantOp(IntegerAttr(int(value), type_)))
    assert isinstance(type_, AnyFloat)
    return _add(block, arith.ConstantOp(FloatAttr(float(value), type_)))


def cast(block: Block, value: SSAValue, type_: Attribute) -> SSAValue:
    """Convert to another scalar type, rounding to nearest even where it is narrower."""
    old = value.type
    if old == type_:
        return value
    if isinstance(old, AnyFloat) and isinstance(type_, AnyFloat):
        if old.bitwidth < type_.bitwidth:
            return _add(block, arith.ExtFOp(value, type_))
        if old.bitwidth > type_.bitwidth:
            return _add(block, arith.TruncFOp(value, type_))
        # bf16 and f16 have one width and convert through f32.
        return cast(block, cast(block, value, f32), type_)
    if isinstance(old, IntegerType) and isinstance(type_, AnyFloat):
        return _add(block, (arith.UIToFPOp if old.width.data == 1 else arith.SIToFPOp)(value, type_))
    if isinstance(old, AnyFloat) and isinstance(type_, IntegerType):
        return _add(block, arith.FPToSIOp(value, type_))
    assert isinstance(old, IntegerType)
    assert isinstance(type_, IntegerType)
    if old.width.data > type_.width.data:
        return _add(block, arith.TruncIOp(value, type_))
    return _add(block, (arith.ExtUIOp if old.width.data == 1 else arith.ExtSIOp)(value, type_))


def binary(block: Block, kind: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """`add`, `sub`, `mul`, `div`, `max`, `min`, `pow` of floats; the integer ones, and `rem`, `or`, `and`, `xor`."""
    table = _FLOAT_BINARY if isinstance(lhs.type, AnyFloat) else _INTEGER_BINARY
    return _add(block, table[kind](lhs, rhs))  # pyright: ignore[reportCallIssue]


def unary(block: Block, kind: str, value: SSAValue) -> SSAValue:
    """One of `UNARY`, on a float."""
    return _add(block, _UNARY[kind](value))


def compare(block: Block, kind: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """`lt`, `le`, `gt`, `ge`, `eq`, `ne` as an i1; every comparison with a NaN but `ne` is false."""
    if isinstance(lhs.type, AnyFloat):
        return _add(block, arith.CmpfOp(lhs, rhs, _FLOAT_COMPARE[kind]))
    return _add(block, arith.CmpiOp(lhs, rhs, _INTEGER_COMPARE[kind]))


def select(block: Block, condition: SSAValue, true: SSAValue, false: SSAValue) -> SSAValue:
    """`true` where the condition holds, else `false`."""
    return _add(block, arith.SelectOp(condition, true, false))


def sign(block: Block, value: SSAValue) -> SSAValue:
    """-1, 0 or 1 with the value's sign; zeros and NaN give themselves, as in JAX."""
    zero = constant(block, 0.0, value.type)
    itself = _add(block, arith.CmpfOp(value, zero, "ueq"))
    negative = compare(block, "lt", value, zero)
    one = select(block, negative, constant(block, -1.0, value.type), constant(block, 1.0, value.type))
    return select(block, itself, value, one)


def integer_power(block: Block, value: SSAValue, exponent: int, multiply: Callable[..., SSAValue] = binary) -> SSAValue:
    """A positive integer power by repeated squaring, in the order XLA multiplies."""
    result: SSAValue | None = None
    square = value
    while True:
        if exponent & 1:
            result = square if result is None else multiply(block, "mul", result, square)
        exponent >>= 1
        if not exponent:
            assert result is not None
            return result
        square = multiply(block, "mul", square, square)
