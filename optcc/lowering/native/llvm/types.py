"""The scalar types of a kernel: how they lie in memory, how the body carries them, and conversions between floats.

A complex number is carried as a struct of its parts, which lie side by side in memory. A bf16 is carried as its 16 bits
and rounded by integer operations: LLVM's own conversion becomes an instruction that flushes denormals where the CPU has
one. Arithmetic on bf16 and f16 is done in f32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from xdsl.dialects.builtin import (
    BFloat16Type,
    ComplexType,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerType,
    Signedness,
)
from xdsl.ir import Attribute

from optcc.dtypes import dtype_of

Value = Any
"""An LLVM value: llvmlite is not typed."""
Builder = Any

F32 = ir.FloatType()
F64 = ir.DoubleType()
I1 = ir.IntType(1)
I16 = ir.IntType(16)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
POINTER = ir.PointerType()

_FLOATS: dict[type[Attribute], Any] = {
    Float32Type: F32,
    Float64Type: F64,
    Float16Type: ir.HalfType(),
    BFloat16Type: I16,
}


def has_carrier(type_: Attribute) -> bool:
    """Whether kernels have values of a scalar type."""
    if isinstance(type_, IntegerType):
        return type_.signedness.data is Signedness.SIGNLESS and type_.width.data in (1, 8, 16, 32, 64)
    return type(type_.element_type if isinstance(type_, ComplexType) else type_) in _FLOATS


def carrier(type_: Attribute) -> Any:
    """The LLVM type that the body carries a scalar type in."""
    if isinstance(type_, ComplexType):
        return ir.LiteralStructType([carrier(type_.element_type)] * 2)
    return ir.IntType(type_.width.data) if isinstance(type_, IntegerType) else _FLOATS[type(type_)]


def in_memory(type_: Attribute) -> Any:
    """The LLVM type of an element in memory: an i1 is one byte."""
    return ir.IntType(8) if carrier(type_) == I1 else carrier(type_)


def load(builder: Builder, pointer: Value, type_: Attribute) -> Value:
    """Load one element."""
    if isinstance(type_, ComplexType):
        places = _places_of_parts(builder, pointer, type_)
        return pair(builder, *(builder.load(place, typ=carrier(type_.element_type)) for place in places))
    value = builder.load(pointer, typ=in_memory(type_))
    return builder.icmp_unsigned("!=", value, value.type(0)) if carrier(type_) == I1 else value


def store(builder: Builder, value: Value, pointer: Value, type_: Attribute) -> None:
    """Store one element."""
    if isinstance(type_, ComplexType):
        for i, place in enumerate(_places_of_parts(builder, pointer, type_)):
            builder.store(builder.extract_value(value, i), place)
        return
    builder.store(builder.zext(value, in_memory(type_)) if carrier(type_) == I1 else value, pointer)


def pair(builder: Builder, real: Value, imaginary: Value) -> Value:
    """The complex number of two parts."""
    empty = ir.Constant(ir.LiteralStructType([real.type] * 2), ir.Undefined)
    return builder.insert_value(builder.insert_value(empty, real, 0), imaginary, 1)


def _places_of_parts(builder: Builder, pointer: Value, type_: ComplexType[Any]) -> list[Value]:
    element = carrier(type_.element_type)
    return [builder.gep(pointer, [I64(i)], inbounds=True, source_etype=element) for i in (0, 1)]


def is_narrow(type_: Attribute) -> bool:
    """Whether a type is a float below f32."""
    return isinstance(type_, Float16Type | BFloat16Type)


def constant(value: float, type_: Attribute) -> Value:
    """A literal, rounded to its type."""
    array = np.asarray(value, dtype_of(type_))
    if isinstance(type_, BFloat16Type):
        return I16(int(array.view(np.uint16)))
    return carrier(type_)(int(value) if isinstance(type_, IntegerType) else float(array))


def convert(builder: Builder, value: Value, source: Attribute, target: Attribute) -> Value:
    """Convert between floats, rounding once, to nearest even, where the target is narrower."""
    if source == target:
        return value
    if is_narrow(source):
        value = _widen(builder, value, source)
        return value if isinstance(target, Float32Type) else convert(builder, value, Float32Type(), target)
    if is_narrow(target):
        return _narrow(builder, value if value.type == F32 else _round_to_odd(builder, value), target)
    return builder.fptrunc(value, F32) if value.type == F64 else builder.fpext(value, F64)


def _widen(builder: Builder, value: Value, source: Attribute) -> Value:
    """To f32."""
    if isinstance(source, Float16Type):
        return builder.fpext(value, F32)
    return builder.bitcast(builder.shl(builder.zext(value, I32), I32(16)), F32)


def _narrow(builder: Builder, value: Value, target: Attribute) -> Value:
    """From f32."""
    if isinstance(target, Float16Type):
        return builder.fptrunc(value, ir.HalfType())
    bits = builder.bitcast(value, I32)
    high = builder.lshr(bits, I32(16))
    # Half of the last place kept, less one where that place is even: a carry out of it rounds up.
    bias = builder.add(I32(0x7FFF), builder.and_(high, I32(1)))
    rounded = builder.lshr(builder.add(bits, bias), I32(16))
    quiet = builder.or_(high, I32(0x40))
    nan = builder.fcmp_unordered("uno", value, value)
    return builder.trunc(builder.select(nan, quiet, rounded), I16)


def _round_to_odd(builder: Builder, value: Value) -> Value:
    """f64 to f32 such that rounding on, to fewer bits, gives what rounding once would.

    An inexact result has its last bit set, so it is never a tie of the next rounding.
    """
    near = builder.fptrunc(value, F32)
    back = builder.fpext(near, F64)
    bits = builder.bitcast(near, I32)
    even = builder.icmp_unsigned("==", builder.and_(bits, I32(1)), I32(0))
    inexact = builder.fcmp_ordered("!=", value, back)
    absolute = [call(builder, "llvm.fabs.f64", F64, [v]) for v in (value, back)]
    away = builder.fcmp_ordered(">", *absolute)
    step = builder.select(away, I32(1), I32(-1))
    odd = builder.bitcast(builder.add(bits, step), F32)
    return builder.select(builder.and_(even, inexact), odd, near)


def call(builder: Builder, name: str, result: Any, args: list[Value]) -> Value:
    """Call a pure function, an intrinsic or one of the C library."""
    module = builder.module
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(result, [a.type for a in args]), name)
        if not name.startswith("llvm."):
            for attribute in ("nounwind", "readnone"):
                function.attributes.add(attribute)
    return builder.call(function, args)
