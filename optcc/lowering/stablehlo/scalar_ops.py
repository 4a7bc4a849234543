"""StableHLO for the scalar ops of `arith` and `math`, on tensors of any one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.dialects import arith, math
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import Float16Type, FloatAttr, IntegerAttr
from xdsl.ir import Attribute, Operation

from optcc.dtypes import dtype_of
from optcc.interpret.rounding import LOW_BITS
from optcc.interpret.scalar_ops import CASTS
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo.registry import STABLEHLO

_BINARY: dict[type[Operation], Callable[..., Tensor]] = {
    arith.AddfOp: hlo.add,
    arith.SubfOp: hlo.subtract,
    arith.MulfOp: hlo.multiply,
    arith.DivfOp: hlo.divide,
    arith.MaximumfOp: hlo.maximum,
    arith.MinimumfOp: hlo.minimum,
    arith.AddiOp: hlo.add,
    arith.SubiOp: hlo.subtract,
    arith.MuliOp: hlo.multiply,
    arith.MaxSIOp: hlo.maximum,
    arith.MinSIOp: hlo.minimum,
    arith.RemSIOp: hlo.remainder,
    arith.AndIOp: hlo.and_,
    arith.OrIOp: hlo.or_,
    arith.XOrIOp: hlo.xor,
    complex_dialect.AddOp: hlo.add,
    complex_dialect.CreateOp: hlo.complex,
    math.PowFOp: hlo.power,
}
_UNARY: dict[type[Operation], Callable[..., Tensor]] = {
    arith.NegfOp: hlo.negate,
    complex_dialect.AbsOp: hlo.abs,
    complex_dialect.ImOp: hlo.imag,
    complex_dialect.ReOp: hlo.real,
    math.AbsFOp: hlo.abs,
    math.CeilOp: hlo.ceil,
    math.CosOp: hlo.cosine,
    math.ExpOp: hlo.exponential,
    math.ExpM1Op: hlo.exponential_minus_one,
    math.FloorOp: hlo.floor,
    math.LogOp: hlo.log,
    math.Log1pOp: hlo.log_plus_one,
    math.RsqrtOp: hlo.rsqrt,
    math.SinOp: hlo.sine,
    math.SqrtOp: hlo.sqrt,
    math.TanhOp: hlo.tanh,
}
_CMPF = {1: "EQ", 2: "GT", 3: "GE", 4: "LT", 5: "LE", 13: "NE"}
_CMPI = {0: "EQ", 1: "NE", 2: "LT", 3: "LE", 4: "GT", 5: "GE"}


def element(type_: Attribute) -> ir.Type:
    """The element type of a tensor for a scalar type of the IR."""
    return mlir.dtype_to_ir_type(dtype_of(type_))


def tensor(shape: Sequence[int], type_: Attribute) -> ir.Type:
    """The tensor type for elements of a scalar type of the IR."""
    return ir.RankedTensorType.get(list(shape), element(type_))


def broadcast(value: Tensor, shape: Sequence[int]) -> Tensor:
    """A 0-d tensor at every element of a shape, or one of the shape's rank along its axes of size 1."""
    type_ = ir.RankedTensorType(value.type)
    if list(type_.shape) == list(shape):
        return value
    result = ir.RankedTensorType.get(list(shape), type_.element_type)
    return hlo.broadcast_in_dim(result, value, ir.DenseI64ArrayAttr.get(list(range(type_.rank))))


def _common_shape(args: Sequence[Tensor]) -> list[int]:
    """The shape that tensors of one rank, or of none, broadcast to."""
    shapes = [list(ir.RankedTensorType(a.type).shape) for a in args]
    rank = max(map(len, shapes))
    return [next((n for n in sizes if n != 1), 1) for sizes in zip(*(s for s in shapes if len(s) == rank), strict=True)]


def constant(value: float, type_: Attribute) -> Tensor:
    """A 0-d constant."""
    array = np.asarray(value, dtype_of(type_))
    return mlir.ir_constant(array)


def vector_constant(values: Sequence[float], type_: Attribute) -> Tensor:
    """A 1-d constant."""
    return mlir.ir_constant(np.asarray(values, dtype_of(type_)))


def emit(op: Operation, args: Sequence[Tensor]) -> Tensor:
    """Emit one scalar op of a body; operands that are 0-d or have axes of size 1 are broadcast where another has not.

    Raises MissingRuleError for an op without a rule.
    """
    # A 0-d predicate may stay as it is.
    start = 1 if isinstance(op, arith.SelectOp) and not ir.RankedTensorType(args[0].type).rank else 0
    shape = _common_shape(args) if args else []
    return STABLEHLO.run_scalar(op, [*args[:start], *(broadcast(a, shape) for a in args[start:])])


@STABLEHLO.register_scalar(arith.ConstantOp)
def _constant(op: arith.ConstantOp, args: Sequence[Tensor]) -> Tensor:
    assert isinstance(op.value, FloatAttr | IntegerAttr)
    return constant(op.value.value.data, op.result.type)


@STABLEHLO.register_scalar(arith.SelectOp)
def _select(op: arith.SelectOp, args: Sequence[Tensor]) -> Tensor:
    return hlo.select(*args)


@STABLEHLO.register_scalar(*_BINARY)
def _binary(op: Operation, args: Sequence[Tensor]) -> Tensor:
    return _BINARY[type(op)](*args)


@STABLEHLO.register_scalar(*_UNARY)
def _unary(op: Operation, args: Sequence[Tensor]) -> Tensor:
    return _UNARY[type(op)](*args)


@STABLEHLO.register_scalar(arith.TruncFOp)
def _round(op: arith.TruncFOp, args: Sequence[Tensor]) -> Tensor:
    return round_to(args[0], op.result.type)


@STABLEHLO.register_scalar(*(cast for cast in CASTS if cast is not arith.TruncFOp))
def _convert(op: Operation, args: Sequence[Tensor]) -> Tensor:
    return hlo.convert(tensor(ir.RankedTensorType(args[0].type).shape, op.results[0].type), args[0])


@STABLEHLO.register_scalar(arith.CmpfOp)
def _compare_two_floats(op: arith.CmpfOp, args: Sequence[Tensor]) -> Tensor:
    return _compare_floats(op.predicate.value.data, *args)


@STABLEHLO.register_scalar(arith.CmpiOp)
def _compare_two_integers(op: arith.CmpiOp, args: Sequence[Tensor]) -> Tensor:
    return _compare(_CMPI[op.predicate.value.data], "SIGNED", *args)


def round_to(value: Tensor, type_: Attribute) -> Tensor:
    """Round to a narrower float, as `optcc.interpret.rounding` does and for its reasons."""
    source = ir.RankedTensorType(value.type)
    target = tensor(source.shape, type_)
    if isinstance(type_, Float16Type):
        narrow = hlo.convert(target, _to_odd(value) if source.element_type == ir.F64Type.get() else value)
        bits = ir.RankedTensorType.get(source.shape, ir.IntegerType.get_unsigned(16))
        return hlo.bitcast_convert(target, hlo.bitcast_convert(bits, narrow))
    info = jnp.finfo(dtype_of(type_))
    return hlo.convert(target, hlo.reduce_precision(value, info.nexp, info.nmant))


def _to_odd(value: Tensor) -> Tensor:
    """A float64 with the digits of a float32, so that going by way of that rounds once."""
    source = ir.RankedTensorType(value.type)
    integers = ir.RankedTensorType.get(source.shape, ir.IntegerType.get_unsigned(64))
    bits = hlo.bitcast_convert(integers, value)
    low = broadcast(mlir.ir_constant(np.uint64(LOW_BITS)), source.shape)
    marked = hlo.or_(bits, hlo.add(hlo.and_(bits, low), low))
    return hlo.bitcast_convert(source, hlo.and_(marked, hlo.not_(low)))


def _compare(direction: str, kind: str, lhs: Tensor, rhs: Tensor) -> Tensor:
    return hlo.compare(
        lhs,
        rhs,
        hlo.ComparisonDirectionAttr.get(direction),
        compare_type=hlo.ComparisonTypeAttr.get(kind),
    )


def _compare_floats(predicate: int, lhs: Tensor, rhs: Tensor) -> Tensor:
    if predicate == 8:  # ueq: neither less nor greater
        return hlo.not_(hlo.or_(_compare("LT", "FLOAT", lhs, rhs), _compare("GT", "FLOAT", lhs, rhs)))
    return _compare(_CMPF[predicate], "FLOAT", lhs, rhs)
