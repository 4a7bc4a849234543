"""Generated kernels against the interpreter."""

from __future__ import annotations

import math as pymath
import platform
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import Float64Type, IntegerType, Signedness, bf16, f16, f32, f64, i1, i32
from xdsl.ir import Attribute, Block, Operation, SSAValue

import optcc
from optcc.dialect import Combiner, Extent, TreeType, element_type
from optcc.dtypes import dtype_of
from optcc.formula import scalar_code
from optcc.lowering.native.llvm import IterationSpace, compile_source, generate, supported
from tests.native.kernel_calls import FOLDS, call, interpret, make_map, random_input, strict, sweeps, ulps
from tests.table import Row, optimizers

# Kernels of real chains


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("row", [row for row in optimizers.ROWS if row.listed], ids=lambda row: row.name)
def test_chain(row: Row, dtype: str) -> None:
    """Chunk by chunk, in place: without contraction bit by bit, but for `rsqrt`; with it within 4 roundings of f32."""
    with jax.enable_x64(dtype == "float64"):
        maps = sweeps(row.make(optcc), {"w": jnp.ones((4, 4), dtype)})
    assert maps
    rng = np.random.default_rng(0)
    for op, overwritten in maps:
        assert supported(op) is None
        kernel = generate(op, overwritten)
        bound = 2 if any(isinstance(inner, math.RsqrtOp) for inner in op.block.ops) else 0
        elements = [isinstance(t, TreeType) and t.has_elements for t in op.operand_types]
        scalars = [element_type(t) for t in op.operand_types]
        inputs = [random_input(rng, t, (999,) if e else ()) for t, e in zip(scalars, elements, strict=True)]
        for i, v in enumerate(op.inputs):
            if (v.name_hint or "").startswith(
                "nu"
            ):  # above the square of the first moment, so that no difference cancels
                inputs[i] = inputs[i] + inputs[i].dtype.type(50)
        expected = interpret(op, inputs)
        for chunk in (999, 256, 37):
            exact = call(kernel, inputs, [999], chunk, strict(kernel))
            contracted = call(kernel, inputs, [999], chunk)
            for result, e, x, c in zip(kernel.results, expected, exact, contracted, strict=True):
                if result.kind is Combiner.NONE:
                    assert ulps(x, e) <= bound
                    epsilon = float(jnp.finfo(e.dtype).eps)
                    np.testing.assert_allclose(np.float64(c), np.float64(e), 2 * epsilon, 4 * min(epsilon, 2**-23))
                else:
                    whole = np.broadcast_to(np.float64(e), 999)
                    total = whole.sum() if result.kind is Combiner.ADD else FOLDS[result.kind][1].reduce(whole)
                    np.testing.assert_allclose([x, c], [total] * 2, rtol=1e-6)


def test_overwritten_operands_are_one_array() -> None:
    ((op, overwritten),) = sweeps(optcc.adamw(1e-2), {"w": jnp.ones(3)})
    kernel = generate(op, overwritten)
    assert [a.kept for a in kernel.arrays] == [1] * 4
    assert [kernel.arrays[r.writes].operand for r in kernel.results] == overwritten
    assert not any(v.per_leaf for v in kernel.values)


# Scalar ops

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
    op = make_map([type_], lambda block, args: [_added(block, make(args[0]))])
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


# Folds and dimensions


@pytest.mark.parametrize("kind", [Combiner.MAX, Combiner.MIN], ids=str)
@pytest.mark.parametrize("type_", [f32, bf16, f64], ids=str)
def test_extrema(kind: Combiner, type_: Attribute) -> None:
    op = make_map([type_], lambda block, args: args, [kind])
    kernel = generate(op, [None])
    x = np.random.default_rng(0).normal(size=301).astype(dtype_of(type_))
    assert call(kernel, [x], [301], 100)[0] == FOLDS[kind][1].reduce(x.astype(np.float64))
    assert call(kernel, [x[:0]], [0], 100)[0] == FOLDS[kind][0]
    for position in (0, 150, 300):
        x[position] = np.nan
        assert np.isnan(call(kernel, [x], [301], 100)[0])


def test_sums_are_in_double() -> None:
    op = make_map([f32], lambda block, args: args, [Combiner.ADD])
    x = np.full(1 << 20, 0.1, np.float32)
    (total,) = call(generate(op, [None]), [x], x.shape, 1 << 18)
    np.testing.assert_allclose(total, pymath.fsum(x), rtol=1e-12)


def test_per_leaf_and_scalar_operands() -> None:
    def body(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        chosen = scalar_code.select(block, args[3], args[0], args[1])
        return [scalar_code.binary(block, "mul", chosen, args[2])]

    op = make_map([f32, f32, f32, i1], body, extents=[Extent.ELEMENTS, Extent.PER_LEAF, None, None])
    kernel = generate(op, [0])
    assert [(v.operand, v.per_leaf) for v in kernel.values] == [(1, True), (2, False), (3, False)]
    x = np.arange(10, dtype=np.float32)
    for truth in (True, False):
        (actual,) = call(kernel, [x, np.float32(3), np.float32(2), np.bool_(truth)], [10], 4)
        np.testing.assert_array_equal(actual, x * 2 if truth else np.full(10, 6))


@pytest.mark.parametrize("kind", [Combiner.ADD, Combiner.MAX], ids=str)
@pytest.mark.parametrize(("rank", "kept"), [(r, m) for r in (1, 2, 3) for m in range((1 << r) - 1)])
def test_axis_extents(rank: int, kept: int, kind: Combiner) -> None:
    """``y = x * s``, with ``s`` and a fold of ``y`` that keep some dimensions, and a fold of the whole."""

    def body(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        y = scalar_code.binary(block, "mul", args[0], args[1])
        return [y, y, y]

    op = make_map([f32, f32], body, [Combiner.NONE, kind, Combiner.ADD])
    whole = (1 << rank) - 1
    kernel = generate(op, [0, None, None], IterationSpace(rank, (whole, kept), (whole, kept, None)))
    assert [r.kept for r in kernel.results] == [whole, kept, -1]
    dims = [6, 5, 33][-rank:]
    rng = np.random.default_rng(kept)
    x = rng.normal(size=dims).astype(np.float32)
    s = rng.normal(size=[n if kept >> d & 1 else 1 for d, n in enumerate(dims)]).astype(np.float32)
    dropped = tuple(d for d in range(rank) if not kept >> d & 1)
    y = (x * s).astype(np.float64)
    fold = FOLDS[kind][1].reduce(y, axis=dropped)
    for chunk in (1, 4, 40):
        stored, partial, total = call(kernel, [x, s], dims, chunk)
        np.testing.assert_array_equal(stored, x * s)
        np.testing.assert_allclose(partial, fold, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(total, y.sum(), rtol=1e-12, atol=1e-12)


# Text and code


def square(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
    return [scalar_code.binary(block, "mul", args[0], args[0])]


def test_names_are_made_from_the_text() -> None:
    kernels = [generate(make_map([f32], square), [None]) for _ in range(2)]
    assert kernels[0] == kernels[1]
    assert re.fullmatch("optcc_[0-9a-f]{32}", kernels[0].name)
    assert compile_source(kernels[0].source) is compile_source(kernels[1].source)
    others = [
        generate(make_map([f32], square), [0]),
        generate(make_map([f64], square), [None]),
        generate(make_map([f32], square, [Combiner.ADD]), [None]),
        generate(make_map([f32], square), [None], IterationSpace(2, (3,), (3,))),
    ]
    assert len({k.name for k in [kernels[0], *others]}) == 5


def test_runs_repeat_bit_for_bit() -> None:
    for op, overwritten in sweeps(optcc.lamb(1e-2), {"w": jnp.ones(3)}):
        kernel = generate(op, overwritten)
        rng = np.random.default_rng(0)
        scalars = [element_type(t) for t in op.operand_types]
        inputs = [random_input(rng, t, (999,)) for t in scalars]
        first, second = (call(kernel, inputs, [999], 100) for _ in range(2))
        for a, b in zip(first, second, strict=True):
            assert a.tobytes() == b.tobytes()


def test_threads_compile_one_kernel_once() -> None:
    source = generate(make_map([f64, f64], lambda block, args: [args[1], args[0]]), [None, None]).source
    with ThreadPoolExecutor(8) as pool:
        compiled = list(pool.map(compile_source, [source] * 16))
    assert all(c is compiled[0] for c in compiled)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="looks for x86 registers")
def test_loops_are_vectors() -> None:
    """No check for overlap, and packed division and root."""
    ((op, overwritten),) = sweeps(optcc.adamw(1e-2), {"w": jnp.ones(3)})
    compiled = compile_source(generate(op, overwritten).source)
    assert re.search(r"v(div|sqrt)ps.*[yz]mm", compiled.assembly)
    assert "memcheck" not in compiled.optimized
    norm = generate(
        make_map([bf16], lambda block, args: [scalar_code.cast(block, args[0], f32)], [Combiner.ADD]), [None]
    )
    assert re.search(r"vaddpd.*[yz]mm", compile_source(norm.source).assembly)
    top = generate(make_map([f32], lambda block, args: args, [Combiner.MAX]), [None])
    assert re.search(r"vmaxps.*[yz]mm", compile_source(top.source).assembly)


@pytest.mark.parametrize(("dtype", "lanes"), [(f32, 8), (bf16, 8), (f64, 0)])
def test_a_fold_in_double_does_not_halve_the_lanes(dtype: Any, lanes: int) -> None:
    """LLVM would take four lanes of f32 for each four of f64, whatever the machine."""

    def root(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        wide = args[0] if dtype is f64 else scalar_code.cast(block, args[0], f32)
        return [_added(block, math.SqrtOp(wide))]

    compiled = compile_source(generate(make_map([dtype], root, [Combiner.ADD]), [None]).source)
    if lanes:
        assert f"<{lanes} x float> @llvm.sqrt" in compiled.optimized
    stored = generate(make_map([f32], lambda block, args: args), [None])
    assert ("llvm.loop" in generate(make_map([dtype], root, [Combiner.ADD]), [None]).source) == bool(lanes)
    assert "llvm.loop" not in stored.source


# Refusals


def test_unsupported_ops_give_the_reason() -> None:
    def remainder(block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        op = arith.RemUIOp(args[0], args[0])
        block.add_op(op)
        return [op.result]

    op = make_map([i32], remainder)
    assert supported(op) == "'arith.remui' has no rule in kernels."
    with pytest.raises(NotImplementedError, match="remui"):
        generate(op, [None])
    unsigned = IntegerType(8, Signedness.UNSIGNED)
    reason = supported(make_map([unsigned], lambda block, args: args))
    assert reason == "'optim.map' has elements of type ui8, which kernels do not have."
    wide = make_map([i32], lambda block, args: [_added(block, arith.UIToFPOp(args[0], f32))])
    assert supported(wide) == "'arith.uitofp' is on i32, which kernels take to be signed."
    ordered = make_map([f32], lambda block, args: [_added(block, arith.CmpfOp(args[0], args[0], "ord"))])
    assert supported(ordered) == "'arith.cmpf' has the predicate 7, for which kernels have no rule."


def _added(block: Block, op: Operation) -> SSAValue:
    block.add_op(op)
    return op.results[0]


def test_patterns_that_do_not_fit() -> None:
    op = make_map([f32, bf16], lambda block, args: [args[0]])
    with pytest.raises(ValueError, match="another element type"):
        generate(op, [1])
    with pytest.raises(ValueError, match="must keep all 2 dimensions"):
        generate(op, [None], IterationSpace(2, (3, 3), (1,)))
    with pytest.raises(ValueError, match="does not have every element"):
        generate(op, [0], IterationSpace(2, (1, 3), (3,)))
    folded = make_map([f32], lambda block, args: args, [Combiner.ADD])
    with pytest.raises(ValueError, match="folded"):
        generate(folded, [0])


def test_text_that_is_not_llvm_ir() -> None:
    with pytest.raises(RuntimeError, match="expected"):
        compile_source("not a module")
