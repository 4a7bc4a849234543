"""Dependences that data does not impose, in a form that XLA keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax.interpreters import mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo

from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo.scalar_ops import broadcast


def order_after(values: list[Tensor], first: Tensor) -> list[Tensor]:
    """Make one of the values depend on `first`, without changing it: or-ing zero bits into it that XLA cannot see.

    A 0-d value is taken if there is one, so that nothing is added per element.
    """
    index = min(range(len(values)), key=lambda i: _cost(values[i]))
    values[index] = _or_zero(values[index], _hidden_zero(first))
    return values


def force_async_dispatch(value: Tensor) -> Tensor:
    """A vector that depends on the first element of a tensor and takes more than a thousand flops, in well under 1 us.

    A computation of fewer flops XLA:CPU runs in the thread that dispatches it, which then waits for the end, and a
    custom call counts as none.
    """
    f32 = ir.F32Type.get()
    bits, _ = _first_bits(value)
    lanes = mlir.ir_constant(np.arange(1024, dtype=np.float32))
    base = broadcast(hlo.convert(ir.RankedTensorType.get([], f32), bits), [1024])
    total = hlo.add(base, lanes)
    return hlo.add(hlo.multiply(total, total), base)


def _first(value: Tensor) -> Tensor:
    """The first element of a tensor, 0-d."""
    type_ = ir.RankedTensorType(value.type)
    if not type_.rank:
        return value
    zeros, ones = (ir.DenseI64ArrayAttr.get([n] * type_.rank) for n in (0, 1))
    return hlo.reshape(ir.RankedTensorType.get([], type_.element_type), hlo.slice(value, zeros, ones, ones))


def _first_bits(value: Tensor) -> tuple[Tensor, int]:
    """The bits of the first element, of a complex one those of its real part, and their number."""
    first = _first(value)
    return _bits(hlo.real(first) if _is_complex(first) else first)


def _bits(value: Tensor) -> tuple[Tensor, int]:
    """The bits of a tensor as unsigned integers, and their number."""
    type_ = ir.RankedTensorType(value.type)
    width = _width(type_)
    unsigned = ir.RankedTensorType.get(type_.shape, ir.IntegerType.get_unsigned(width))
    return (value if type_ == unsigned else hlo.bitcast_convert(unsigned, value)), width


def _cost(value: Tensor) -> tuple[int, int]:
    """What comes first is cheapest to tie: numbers, complex ones, then predicates; few dimensions first."""
    type_ = ir.RankedTensorType(value.type)
    return 1 if _is_complex(value) else 2 * (_width(type_) == 1), type_.rank


def _is_complex(value: Tensor) -> bool:
    return isinstance(ir.RankedTensorType(value.type).element_type, ir.ComplexType)


def _width(type_: Any) -> int:
    """Bits of an element of a tensor type."""
    return type_.element_type.width


def _hidden_zero(value: Tensor) -> Tensor:
    """A 0-d zero that depends on the first element: its highest bit, shifted right until nothing is left."""
    bits, width = _first_bits(value)
    amount = mlir.ir_constant(np.asarray(width - 1, np.dtype(f"uint{width}")))
    return hlo.shift_right_logical(hlo.shift_right_logical(bits, amount), amount)


def _or_zero(value: Tensor, zero: Tensor) -> Tensor:
    if _is_complex(value):
        return hlo.complex(_or_zero(hlo.real(value), zero), hlo.imag(value))
    type_ = ir.RankedTensorType(value.type)
    bits, width = _bits(value)
    zero = hlo.convert(ir.RankedTensorType.get([], ir.IntegerType.get_unsigned(width)), zero)
    joined = hlo.or_(bits, broadcast(zero, type_.shape))
    return hlo.bitcast_convert(type_, joined) if joined.type != type_ else joined
