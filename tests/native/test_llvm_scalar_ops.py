"""Scalar ops in generated kernels, against the interpreter and against the mathematics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import Float64Type, IntegerType, bf16, f16, f32, f64, i1, i32
from xdsl.ir import Attribute, Block, Operation, SSAValue

from optcc.dtypes import dtype_of
from optcc.formula import scalar_code
from optcc.lowering.native.llvm import generate
from tests.native.kernel_calls import added, call, interpret, make_map, random_input, strict, ulps

EXACT_UNARY: list[Any] = [arith.NegfOp, math.AbsFOp, math.SqrtOp, math.FloorOp, math.CeilOp]
LIBRARY_UNARY: list[Any] = [
    math.CosOp,
    math.ExpOp,
    math.ExpM1Op,
    math.LogOp,
    math.Log1pOp,
    math.RsqrtOp,
    math.SinOp,
    math.TanhOp,
]
BINARY: list[Any] = [
    arith.AddfOp,
    arith.SubfOp,
    arith.MulfOp,
    arith.DivfOp,
    arith.MaximumfOp,
    arith.MinimumfOp,
]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-30, 65504.0, 1e5]


def special(type_: Attribute) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of edge cases, and random pairs of all sizes."""
    rng = np.random.default_rng(0)
    with np.errstate(over="ignore"):
        x, y = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
        more = rng.normal(size=(2, 500)) * 2.0 ** rng.uniform(-6, 6, (2, 500))
        return np.append(x, more[0]).astype(dtype_of(type_)), np.append(y, more[1]).astype(dtype_of(type_))


def same(actual: np.ndarray, expected: np.ndarray, bound: float = 0) -> None:
    assert ulps(actual, expected) <= bound
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    if bound == 0 and actual.dtype.kind not in "bi":
        real = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(actual)[real], np.signbit(expected)[real])


def check_op(
    types: Sequence[Attribute], make: Callable[..., Operation], inputs: Sequence[Any], bound: float = 0
) -> None:
    def body(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        op = make(*args)
        block.add_op(op)
        return [op.results[0]]

    op = make_map(types, body)
    (actual,) = call(generate(op, [None]), inputs, inputs[0].shape, 64)
    same(actual, interpret(op, inputs)[0], bound)


@pytest.mark.parametrize("type_", [f32, f64, bf16, f16], ids=str)
@pytest.mark.parametrize("make", [*EXACT_UNARY, *BINARY])
def test_exact_ops(make: Any, type_: Attribute) -> None:
    """NaN, infinities, overflow and the signs of zeros, too."""
    pair = special(type_)
    count = 1 if make in EXACT_UNARY else 2
    check_op([type_] * count, make, pair[:count])


@pytest.mark.parametrize("type_", [f32, f64, bf16], ids=str)
@pytest.mark.parametrize("make", LIBRARY_UNARY)
def test_library_ops(make: Any, type_: Attribute) -> None:
    """Within 2 ulps of the true value, and in f32 of what XLA has, which is up to 5 ulps off."""
    x = special(type_)[0]
    x = x[np.abs(np.float64(x)) < 1e4] if make in (math.CosOp, math.SinOp) else x
    op = make_map([type_], lambda block, args: [added(block, make(args[0]))])
    (actual,) = call(generate(op, [None]), [x], x.shape, 64)
    with np.errstate(all="ignore"):
        wide = x.astype(np.longdouble)
        name = make.name.removeprefix("math.")
        same(actual, np.asarray(1 / np.sqrt(wide) if name == "rsqrt" else getattr(np, name)(wide)).astype(x.dtype), 2)
    if type_ == f32:
        same(actual, interpret(op, [x])[0], 6)


@pytest.mark.parametrize("type_", [f32, f64], ids=str)
@pytest.mark.parametrize("exponent", [0.5, -0.5, 2.0, -1.0, 3.0, 0.75, None])
def test_powers(exponent: float | None, type_: Attribute) -> None:
    x, y = special(type_)

    def body(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        power = args[1] if exponent is None else scalar_code.constant(block, exponent, type_)
        return [scalar_code.binary(block, "pow", args[0], power)]

    op = make_map([type_, type_], body)
    (actual,) = call(generate(op, [None]), [x, y], x.shape, 64)
    same(actual, interpret(op, [x, y])[0], 2)


@pytest.mark.parametrize("type_", [f32, f64, bf16, f16], ids=str)
@pytest.mark.parametrize("predicate", ["oeq", "ogt", "oge", "olt", "ole", "ueq", "une"])
def test_float_comparisons(predicate: str, type_: Attribute) -> None:
    check_op([type_, type_], lambda a, b: arith.CmpfOp(a, b, predicate), special(type_))


@pytest.mark.parametrize("type_", [i1, i32], ids=str)
@pytest.mark.parametrize("predicate", ["eq", "ne", "slt", "sle", "sgt", "sge"])
def test_integer_comparisons(predicate: str, type_: Attribute) -> None:
    check_op([type_, type_], lambda a, b: arith.CmpiOp(a, b, predicate), integers(type_))


@pytest.mark.parametrize("type_", [i1, i32], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        arith.AddiOp,
        arith.SubiOp,
        arith.MuliOp,
        arith.MaxSIOp,
        arith.MinSIOp,
        arith.AndIOp,
        arith.OrIOp,
        arith.XOrIOp,
    ],
)
def test_integer_ops(make: Any, type_: Attribute) -> None:
    if make is arith.SubiOp and type_ == i1:
        pytest.skip("truth values have no difference")
    check_op([type_, type_], make, integers(type_))


def integers(type_: Attribute) -> tuple[np.ndarray, np.ndarray]:
    values = [0, 1] if type_ == i1 else [0, 1, -1, 7, -8, 2**31 - 1, -(2**31)]
    x, y = np.meshgrid(np.array(values, dtype_of(type_)), np.array(values, dtype_of(type_)))
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("target", [f32, f64, bf16, f16, i32, i1], ids=str)
@pytest.mark.parametrize("source", [f32, f64, bf16, f16, i32, i1], ids=str)
def test_casts(source: Attribute, target: Attribute) -> None:
    x = (integers(source) if isinstance(source, IntegerType) else special(source))[0]
    op = make_map([source], lambda block, args: [scalar_code.cast(block, args[0], target)])
    (actual,) = call(generate(op, [None]), [x], x.shape, 64)
    same(actual, interpret(op, [x])[0])


@pytest.mark.parametrize("target", [bf16, f16], ids=str)
@pytest.mark.parametrize("source", [f32, f64], ids=str)
def test_rounding_to_narrow_floats(source: Attribute, target: Attribute) -> None:
    """Once, to nearest even, also ties, overflow, denormals and what a second rounding would get wrong."""
    rng = np.random.default_rng(0)
    dtype, narrow = dtype_of(source), dtype_of(target)
    info = jnp.finfo(narrow)
    grid = np.arange(1, 500) * float(info.smallest_subnormal)
    wide = rng.uniform(0.5, 1, 2000) * 2.0 ** rng.uniform(info.minexp - info.nmant - 3, info.maxexp - 1, 2000)
    points = np.concatenate([grid, wide.astype(narrow).astype(np.float64), [float(info.max), 0.0]])
    ties = points * (1 + 2.0 ** -(info.nmant + 1))
    around = [ties * (1 + s * 2.0**-k) for s in (-1, 1) for k in (20, 30, 45)]
    values = np.concatenate([points, ties, *around, grid / 2, wide, [float(info.max) * (1 + float(info.eps) / 4)]])
    with np.errstate(over="ignore"):
        x = np.concatenate([values, -values]).astype(dtype)
    op = make_map([source], lambda block, args: [scalar_code.cast(block, args[0], target)])
    (actual,) = call(generate(op, [None]), [x], x.shape, x.size)
    np.testing.assert_array_equal(actual.view(np.uint16), nearest_even(x, narrow).view(np.uint16))


@pytest.mark.parametrize(("target", "quiet"), [(bf16, 0x0040), (f16, 0x0200)], ids=str)
def test_nan_stays_nan(target: Attribute, quiet: int) -> None:
    """Whatever its payload; the result is quiet and keeps the sign."""
    bits = np.array([0x7F800001, 0xFF800001, 0x7F80FFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000, 0xFFC00000], np.uint32)
    op = make_map([f32], lambda block, args: [scalar_code.cast(block, args[0], target)])
    (actual,) = call(generate(op, [None]), [bits.view(np.float32)], bits.shape, bits.size)
    assert np.isnan(actual).all()
    assert (actual.view(np.uint16) & quiet).all()
    np.testing.assert_array_equal(actual.view(np.uint16) >> 15, bits >> 31)


def nearest_even(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Rounded once, from the definition."""
    info = jnp.finfo(dtype)
    exact = x.astype(np.float64)
    exponent = np.maximum(np.frexp(exact)[1] - 1, int(info.minexp))
    unit = np.ldexp(1.0, exponent - int(info.nmant))
    rounded = np.rint(exact / unit) * unit
    return np.where(np.abs(rounded) > float(info.max), np.copysign(np.inf, exact), rounded).astype(dtype)


def test_denormals_are_kept() -> None:
    for type_ in (f32, f64, bf16, f16):
        info = jnp.finfo(dtype_of(type_))
        x = (np.arange(-40, 40) * float(info.smallest_subnormal)).astype(dtype_of(type_))
        op = make_map([type_], lambda block, args: [scalar_code.binary(block, "add", args[0], args[0])])
        (actual,) = call(generate(op, [None]), [x], x.shape, 80)
        np.testing.assert_array_equal(np.float64(actual), np.float64(x) * 2)


@pytest.mark.parametrize("type_", [bf16, f16], ids=str)
def test_roundings_survive_contraction(type_: Attribute) -> None:
    """``c + a * b``, where the product is rounded to a narrow type: no fused operation may skip that."""

    def body(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        a, b, c = (scalar_code.cast(block, x, f32) for x in args)
        product = scalar_code.cast(block, scalar_code.binary(block, "mul", a, b), type_)
        total = scalar_code.binary(block, "add", c, scalar_code.cast(block, product, f32))
        return [total, scalar_code.cast(block, total, type_)]

    op = make_map([type_] * 3, body)
    rng = np.random.default_rng(0)
    # Also with products that are denormal in f16.
    scales = np.array([1, 2.0**-9, 2.0**-11]).repeat(2000).astype(dtype_of(type_))
    inputs = [random_input(rng, type_, scales.shape) * scales for _ in range(3)]
    kernel = generate(op, [None, 2])
    assert ("contract" in kernel.source) == (type_ == bf16)
    results = call(kernel, inputs, scales.shape, scales.size)
    for actual, expected in zip(results, interpret(op, inputs), strict=True):
        same(actual, expected)


def test_random_bodies() -> None:
    """Chains of ops of mixed types, each value used again at random."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        types = [f32, bf16, f16, f64, i32, i1]

        def body(block: Block, args: Sequence[SSAValue], rng: np.random.Generator = rng) -> list[SSAValue]:
            pool = list(args)
            for _ in range(25):
                pool.append(_random_op(block, pool, rng))
            return pool[-8:]

        op = make_map(types, body)
        inputs = [random_input(rng, t, (50,)) for t in types]
        kernel = generate(op, [None] * 8)
        for actual, expected in zip(call(kernel, inputs, [50], 23, strict(kernel)), interpret(op, inputs), strict=True):
            assert ulps(actual, expected) <= 2, (seed, str(op))


def _random_op(block: Block, pool: list[SSAValue], rng: np.random.Generator) -> SSAValue:
    """An op on recent values, of which floats are first brought near 1, so that small differences stay small."""
    a = pool[rng.integers(len(pool))]
    b = scalar_code.cast(block, pool[rng.integers(len(pool))], a.type)
    kind = rng.integers(5)
    if kind == 0:
        return scalar_code.cast(block, a, [f32, bf16, f16, f64, i32][rng.integers(5)])
    if kind == 1:
        truth = scalar_code.compare(block, ["lt", "le", "gt", "ge", "eq", "ne"][rng.integers(6)], a, b)
        return scalar_code.select(block, truth, a, b)
    if isinstance(a.type, IntegerType):
        kinds = ["or", "and", "xor", "max", "min", "add", "mul"]
        return scalar_code.binary(block, kinds[rng.integers(len(kinds))], a, b)
    wide = f64 if isinstance(a.type, Float64Type) else f32
    a, b = (scalar_code.cast(block, v, wide) for v in (a, b))
    if kind == 2:
        return scalar_code.unary(block, ["neg", "abs", "floor", "ceil"][rng.integers(4)], a)
    if kind == 3:
        square = scalar_code.binary(
            block, "add", scalar_code.binary(block, "mul", a, a), scalar_code.constant(block, 1.0, wide)
        )
        return scalar_code.binary(block, "div", b, scalar_code.unary(block, "sqrt", square))
    return scalar_code.binary(block, ["add", "sub", "mul", "max", "min"][rng.integers(5)], a, b)
