"""Generated kernels: those of real chains, folds, their text and code, refusals."""

from __future__ import annotations

import math as pymath
import platform
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import IntegerType, Signedness, bf16, f32, f64, i1, i32
from xdsl.ir import Attribute, Block, SSAValue

import optcc
from optcc.dialect import Combiner, Extent, TreeType, element_type
from optcc.dtypes import dtype_of
from optcc.formula import scalar_code
from optcc.lowering.native.llvm import IterationSpace, compile_source, generate, supported
from tests.native.kernel_calls import FOLDS, added, call, interpret, make_map, random_input, strict, sweeps, ulps
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
            # Above the square of the first moment, so that no difference cancels.
            if (v.name_hint or "").startswith("nu"):
                inputs[i] = inputs[i] + inputs[i].dtype.type(50)
        expected = interpret(op, inputs)
        for chunk in (999, 256, 37):
            exact = call(kernel, inputs, [999], chunk, strict(kernel))
            contracted = call(kernel, inputs, [999], chunk)
            for result, e, x, c in zip(kernel.spec.results, expected, exact, contracted, strict=True):
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
    assert [a.kept for a in kernel.spec.arrays] == [1] * 4
    assert [kernel.spec.arrays[r.writes].operand for r in kernel.spec.results] == overwritten
    assert not any(v.per_leaf for v in kernel.spec.values)


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
    assert [(v.operand, v.per_leaf) for v in kernel.spec.values] == [(1, True), (2, False), (3, False)]
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
    assert [r.kept for r in kernel.spec.results] == [whole, kept, -1]
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
        return [added(block, math.SqrtOp(wide))]

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
    wide = make_map([i32], lambda block, args: [added(block, arith.UIToFPOp(args[0], f32))])
    assert supported(wide) == "'arith.uitofp' is on i32, which kernels take to be signed."
    ordered = make_map([f32], lambda block, args: [added(block, arith.CmpfOp(args[0], args[0], "ord"))])
    assert supported(ordered) == "'arith.cmpf' has the predicate 7, for which kernels have no rule."


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
