"""LLVM instructions for the scalar ops of `arith`, `math` and `complex`.

What an op does at the edges, with NaN, zeros and i1, is what the interpreter does.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects import arith, math
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import AnyFloat, Float32Type, FloatAttr, IntegerAttr, IntegerType, i1
from xdsl.ir import Attribute, Operation, SSAValue

from optcc.dialect import MapOp
from optcc.interpret.scalar_ops import CASTS
from optcc.lowering.native.llvm.types import (
    F64,
    Builder,
    Value,
    call,
    carrier,
    constant,
    convert,
    has_carrier,
    is_narrow,
    pair,
)

_ARITHMETIC: dict[type[Operation], str] = {
    arith.AddfOp: "fadd",
    arith.SubfOp: "fsub",
    arith.MulfOp: "fmul",
    arith.DivfOp: "fdiv",
}
_CONTRACTED = (arith.AddfOp, arith.SubfOp, arith.MulfOp)
_INTRINSICS: dict[type[Operation], str] = {
    arith.MaximumfOp: "maximum",
    arith.MinimumfOp: "minimum",
    math.AbsFOp: "fabs",
    math.CeilOp: "ceil",
    math.CosOp: "cos",
    math.ExpOp: "exp",
    math.FloorOp: "floor",
    math.LogOp: "log",
    math.PowFOp: "pow",
    math.SinOp: "sin",
    math.SqrtOp: "sqrt",
    math.TanhOp: "tanh",
}
"""What LLVM has no instruction for becomes a call of the C library, one for each element."""
_LIBRARY: dict[type[Operation], str] = {math.ExpM1Op: "expm1", math.Log1pOp: "log1p"}
_INTEGER: dict[type[Operation], str] = {
    arith.AddiOp: "add",
    arith.SubiOp: "sub",
    arith.MuliOp: "mul",
    arith.AndIOp: "and_",
    arith.OrIOp: "or_",
    arith.XOrIOp: "xor",
}
_EXTREMA: dict[type[Operation], tuple[str, str]] = {
    arith.MaxSIOp: ("smax", "umax"),
    arith.MinSIOp: ("smin", "umin"),
}
"""For integers, and for i1, whose values are 0 and 1, not 0 and -1."""
_CMPF = {1: "==", 2: ">", 3: ">=", 4: "<", 5: "<=", 8: "==", 13: "!="}
_UNORDERED = (8, 13)
_CMPI = {0: "==", 1: "!=", 2: "<", 3: "<=", 4: ">", 5: ">="}

_COMPLEX = (
    complex_dialect.AbsOp,
    complex_dialect.AddOp,
    complex_dialect.CreateOp,
    complex_dialect.ImOp,
    complex_dialect.ReOp,
)
_KNOWN = {
    *_COMPLEX,
    *(_ARITHMETIC | _INTRINSICS | _LIBRARY | _INTEGER | _EXTREMA),
    *CASTS,
    arith.CmpfOp,
    arith.CmpiOp,
    arith.ConstantOp,
    arith.NegfOp,
    arith.SelectOp,
    math.RsqrtOp,
}


def supported(op: MapOp) -> str | None:
    """None if a kernel can be generated for the body of a map, else the reason, in one sentence."""
    for type_ in (*op.block.arg_types, *op.yields.operand_types):
        if not has_carrier(type_):
            return f"'{op.name}' has elements of type {type_}, which kernels do not have."
    for inner in op.block.ops:
        if inner is not op.yields and (reason := _unsupported(inner)):
            return f"'{inner.name}' {reason}."
    return None


def _unsupported(op: Operation) -> str | None:
    if type(op) not in _KNOWN:
        return "has no rule in kernels"
    for type_ in (*op.operand_types, *op.result_types):
        if not has_carrier(type_):
            return f"is on {type_}, a type that kernels do not have"
    if isinstance(op, arith.CmpfOp) and op.predicate.value.data not in _CMPF:
        return f"has the predicate {op.predicate.value.data}, for which kernels have no rule"
    if isinstance(op, arith.CmpiOp) and op.predicate.value.data not in _CMPI:
        return f"has the predicate {op.predicate.value.data}, for which kernels have no rule"
    if isinstance(op, arith.UIToFPOp | arith.ExtUIOp) and op.operands[0].type != i1:
        return f"is on {op.operands[0].type}, which kernels take to be signed"
    if isinstance(op, arith.SubiOp) and op.result.type == i1:
        return "is on i1, which has no difference"
    return None


class ScalarEmitter:
    """Emits the ops of one body; with `contract`, a multiplication and an addition may become one fused operation."""

    def __init__(self, builder: Builder, *, contract: bool) -> None:
        self.builder = builder
        self.flags = ("contract",) if contract else ()

    def emit(self, op: Operation, args: Sequence[Value]) -> Value:
        """The value of an op that is `supported`."""
        if isinstance(op, arith.ConstantOp):
            assert isinstance(op.value, FloatAttr | IntegerAttr)
            return constant(op.value.value.data, op.result.type)
        if isinstance(op, _COMPLEX):
            return self._complex(op, args)
        if isinstance(op, CASTS):
            return self._cast(op.operands[0].type, op.results[0].type, args[0])
        if isinstance(op, arith.SelectOp):
            return self.builder.select(*args)
        if isinstance(op, arith.CmpiOp):
            compare = self.builder.icmp_unsigned if op.lhs.type == i1 else self.builder.icmp_signed
            return compare(_CMPI[op.predicate.value.data], *args)
        if isinstance(op.operands[0].type, IntegerType):
            return self._integer(op, args)
        wide = [self._wide(a, v.type) for a, v in zip(args, op.operands, strict=True)]
        if isinstance(op, arith.CmpfOp):
            predicate = op.predicate.value.data
            compare = self.builder.fcmp_unordered if predicate in _UNORDERED else self.builder.fcmp_ordered
            return compare(_CMPF[predicate], *wide)
        result = self._float(op, wide)
        type_ = op.results[0].type
        return convert(self.builder, result, Float32Type(), type_) if is_narrow(type_) else result

    def _complex(self, op: Operation, args: Sequence[Value]) -> Value:
        if isinstance(op, complex_dialect.CreateOp):
            return pair(self.builder, *args)
        parts = [[self.builder.extract_value(a, i) for i in (0, 1)] for a in args]
        match op:
            case complex_dialect.ReOp():
                return parts[0][0]
            case complex_dialect.ImOp():
                return parts[0][1]
            case complex_dialect.AddOp():
                return pair(self.builder, *(self.builder.fadd(x, y) for x, y in zip(*parts, strict=True)))
            case _:
                return self._size(*parts[0])

    def _size(self, real: Value, imaginary: Value) -> Value:
        """The size of a complex number, by way of doubles, which squares of floats cannot overflow."""
        if real.type == F64:
            return call(self.builder, "hypot", F64, [real, imaginary])
        wide = [self.builder.fpext(x, F64) for x in (real, imaginary)]
        squares = [self.builder.fmul(x, x) for x in wide]
        return self.builder.fptrunc(self._intrinsic("sqrt", [self.builder.fadd(*squares)]), real.type)

    def _wide(self, value: Value, type_: Attribute) -> Value:
        return convert(self.builder, value, type_, Float32Type()) if is_narrow(type_) else value

    def _float(self, op: Operation, args: Sequence[Value]) -> Value:
        if type(op) in _ARITHMETIC:
            flags = self.flags if isinstance(op, _CONTRACTED) else ()
            return getattr(self.builder, _ARITHMETIC[type(op)])(*args, flags=flags)
        if isinstance(op, arith.NegfOp):
            return self.builder.fneg(*args)
        if isinstance(op, math.RsqrtOp):
            return self._rsqrt(args[0])
        if isinstance(op, math.PowFOp) and _literal(op.rhs) == -0.5:
            return self._inverse_root(args[0])
        if type(op) in _INTRINSICS:
            return self._intrinsic(_INTRINSICS[type(op)], args)
        suffix = "" if args[0].type == F64 else "f"
        return call(self.builder, _LIBRARY[type(op)] + suffix, args[0].type, list(args))

    def _intrinsic(self, name: str, args: Sequence[Value]) -> Value:
        type_ = args[0].type
        return call(self.builder, f"llvm.{name}.{type_.intrinsic_name}", type_, list(args))

    def _rsqrt(self, value: Value) -> Value:
        return self.builder.fdiv(value.type(1.0), self._intrinsic("sqrt", [value]))

    def _inverse_root(self, value: Value) -> Value:
        """`pow(x, -0.5)`, which differs from `rsqrt` at -0 and at minus infinity."""
        root = self._rsqrt(self.builder.fadd(value, value.type(0.0)))
        infinite = self.builder.fcmp_ordered("==", value, value.type(float("-inf")))
        return self.builder.select(infinite, value.type(0.0), root)

    def _integer(self, op: Operation, args: Sequence[Value]) -> Value:
        truth = op.results[0].type == i1
        if type(op) in _EXTREMA:
            name = _EXTREMA[type(op)][truth]
            return call(self.builder, f"llvm.{name}.i{args[0].type.width}", args[0].type, list(args))
        # A sum of truth values is true where one of them is.
        name = "or_" if truth and isinstance(op, arith.AddiOp) else _INTEGER[type(op)]
        return getattr(self.builder, name)(*args)

    def _cast(self, source: Attribute, target: Attribute, value: Value) -> Value:
        builder = self.builder
        if isinstance(source, AnyFloat) and isinstance(target, AnyFloat):
            return convert(builder, value, source, target)
        if isinstance(target, AnyFloat):
            wide = Float32Type() if is_narrow(target) else target
            number = (builder.uitofp if source == i1 else builder.sitofp)(value, carrier(wide))
            return convert(builder, number, wide, target)
        if isinstance(source, AnyFloat):
            return self._to_integer(self._wide(value, source), target)
        if target == i1:
            return builder.icmp_unsigned("!=", value, value.type(0))
        if carrier(source).width > carrier(target).width:
            return builder.trunc(value, carrier(target))
        return (builder.zext if source == i1 else builder.sext)(value, carrier(target))

    def _to_integer(self, value: Value, target: Attribute) -> Value:
        """Towards zero, to the nearest integer there is; a NaN gives 0."""
        if target == i1:
            return self.builder.fcmp_unordered("!=", value, value.type(0.0))
        result = carrier(target)
        name = f"llvm.fptosi.sat.i{result.width}.{value.type.intrinsic_name}"
        return call(self.builder, name, result, [value])


def _literal(value: SSAValue) -> float | None:
    if isinstance(value.owner, arith.ConstantOp) and isinstance(value.owner.value, FloatAttr):
        return value.owner.value.value.data
    return None
