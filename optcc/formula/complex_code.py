"""Emits scalar ops on operands that may be complex: on their parts, as `scalar_code` emits them for real ones.

A real operand beside a complex one stays real: a product with it is two products, not four.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import AnyFloat, ComplexType
from xdsl.ir import Attribute, Block, SSAValue

from optcc.formula import scalar_code

Form = Callable[..., SSAValue]


WITHOUT_COMPLEX = "wrap it: optcc.contrib.split_real_and_imaginary(...), or leave such leaves out with optcc.masked"


class NoComplexForm(Exception):  # noqa: N818 - it says what is not there; the emitter makes a ValueError of it
    """An operation that has no meaning for complex numbers, in words, and what to do."""

    def __init__(self, what: str, fix: str = WITHOUT_COMPLEX) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def is_complex(value: SSAValue) -> bool:
    """Whether a scalar is a complex number."""
    return isinstance(value.type, ComplexType)


def parts(block: Block, value: SSAValue) -> tuple[SSAValue, SSAValue | None]:
    """The real and the imaginary part; None as that of a real number, which is 0 wherever it is asked for."""
    if not is_complex(value):
        return value, None
    ops = complex_dialect.ReOp(value), complex_dialect.ImOp(value)
    block.add_ops(ops)
    return ops[0].result, ops[1].result


def create(block: Block, real: SSAValue, imaginary: SSAValue | None) -> SSAValue:
    """The complex number of two parts."""
    assert isinstance(real.type, AnyFloat)
    imaginary = scalar_code.constant(block, 0.0, real.type) if imaginary is None else imaginary
    op = complex_dialect.CreateOp(real, imaginary, ComplexType(real.type))
    block.add_op(op)
    return op.results[0]


def cast(block: Block, value: SSAValue, type_: Attribute) -> SSAValue:
    """Convert to a scalar type, complex or real. Raises NoComplexForm where that would lose an imaginary part."""
    if is_complex(value) and not isinstance(type_, ComplexType):
        raise NoComplexForm(f"complex numbers cannot be stored as {type_}", "give a complex dtype, or None")
    if value.type == type_ or not isinstance(type_, ComplexType):
        return scalar_code.cast(block, value, type_)
    real, imaginary = parts(block, value)
    element = type_.element_type
    return create(
        block,
        scalar_code.cast(block, real, element),
        None if imaginary is None else scalar_code.cast(block, imaginary, element),
    )


def cast_parts(block: Block, value: SSAValue, element: Attribute) -> SSAValue:
    """Convert a real number to a scalar type, the parts of a complex one to that."""
    assert isinstance(element, AnyFloat) or not is_complex(value)
    return cast(block, value, ComplexType(element) if is_complex(value) else element)  # pyright: ignore[reportArgumentType]


def binary(block: Block, kind: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """`add`, `sub`, `mul` and `div`, by a real number; anything else raises NoComplexForm if an operand is complex."""
    emit = partial(scalar_code.binary, block)
    if not is_complex(lhs) and not is_complex(rhs):
        return emit(kind, lhs, rhs)
    (a, b), (c, d) = parts(block, lhs), parts(block, rhs)
    if kind in ("add", "sub"):
        negated = d if d is None or kind == "add" else scalar_code.unary(block, "neg", d)
        return create(block, emit(kind, a, c), negated if b is None else b if d is None else emit(kind, b, d))
    if kind not in ("mul", "div") or (kind == "div" and d is not None):
        raise NoComplexForm(f"complex numbers have no '{kind}'" if kind != "div" else "a divisor is complex")
    if b is None or d is None:
        other = emit(kind, b, c) if b is not None else emit(kind, a, d) if d is not None else None
        return create(block, emit(kind, a, c), other)
    real = emit("sub", emit("mul", a, c), emit("mul", b, d))
    return create(block, real, emit("add", emit("mul", a, d), emit("mul", b, c)))


def unary(block: Block, kind: str, value: SSAValue) -> SSAValue:
    """`neg`, and `abs`, which is real; anything else of a complex number raises NoComplexForm."""
    if not is_complex(value):
        return scalar_code.unary(block, kind, value)
    if kind == "abs":
        op = complex_dialect.AbsOp(value)
        block.add_op(op)
        return op.result
    if kind != "neg":
        raise NoComplexForm(f"complex numbers have no '{kind}' here")
    return _each(block, partial(scalar_code.unary, block, kind), value)


def compare(block: Block, kind: str, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """`eq` and `ne`; an order of complex numbers raises NoComplexForm."""
    if not is_complex(lhs) and not is_complex(rhs):
        return scalar_code.compare(block, kind, lhs, rhs)
    if kind not in ("eq", "ne"):
        raise NoComplexForm("complex numbers have no order")
    (a, b), (c, d) = (_both(block, v) for v in (lhs, rhs))
    pair = [scalar_code.compare(block, kind, x, y) for x, y in ((a, c), (b, d))]
    return scalar_code.binary(block, "and" if kind == "eq" else "or", *pair)


def select(block: Block, condition: SSAValue, true: SSAValue, false: SSAValue) -> SSAValue:
    """`true` where the condition holds, else `false`; complex if one of them is."""
    if not is_complex(true) and not is_complex(false):
        return scalar_code.select(block, condition, true, false)
    pairs = zip(_both(block, true), _both(block, false), strict=True)
    return create(block, *(scalar_code.select(block, condition, x, y) for x, y in pairs))


def sign(block: Block, value: SSAValue) -> SSAValue:
    """The number divided by its size, 0 for 0."""
    if not is_complex(value):
        return scalar_code.sign(block, value)
    size = unary(block, "abs", value)
    zero, one = (scalar_code.constant(block, x, size.type) for x in (0.0, 1.0))
    divisor = select(block, scalar_code.compare(block, "eq", size, zero), one, size)
    return binary(block, "div", value, divisor)


def integer_power(block: Block, value: SSAValue, exponent: int) -> SSAValue:
    """A positive integer power, as `scalar_code.integer_power` multiplies."""
    return scalar_code.integer_power(block, value, exponent, binary)


def abs_sq(block: Block, value: SSAValue) -> SSAValue:
    """The square of the size, a real number: ``x * x`` for a real one."""
    real, imaginary = parts(block, value)
    squares = [scalar_code.integer_power(block, x, 2) for x in (real, imaginary) if x is not None]
    return squares[0] if imaginary is None else scalar_code.binary(block, "add", *squares)


def inner(block: Block, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
    """The real part of ``conj(lhs) * rhs``: a product for real numbers."""
    pairs = zip(parts(block, lhs), parts(block, rhs), strict=True)
    products = [scalar_code.binary(block, "mul", x, y) for x, y in pairs if x is not None and y is not None]
    return products[0] if len(products) == 1 else scalar_code.binary(block, "add", *products)


def is_finite(block: Block, value: SSAValue) -> SSAValue:
    """Whether a number, or both its parts, are neither infinite nor NaN."""
    sizes = [scalar_code.unary(block, "abs", x) for x in parts(block, value) if x is not None]
    finite = [scalar_code.compare(block, "lt", x, scalar_code.constant(block, float("inf"), x.type)) for x in sizes]
    return finite[0] if len(finite) == 1 else scalar_code.binary(block, "and", *finite)


def real(block: Block, value: SSAValue) -> SSAValue:
    """The real part; a real number itself."""
    return parts(block, value)[0]


def _both(block: Block, value: SSAValue) -> tuple[SSAValue, SSAValue]:
    real, imaginary = parts(block, value)
    return real, scalar_code.constant(block, 0.0, real.type) if imaginary is None else imaginary


def _each(block: Block, emit: Form, value: SSAValue) -> SSAValue:
    real, imaginary = _both(block, value)
    return create(block, emit(real), emit(imaginary))
