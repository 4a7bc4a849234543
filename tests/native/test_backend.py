"""Native kernels through the compiled step: the parity table, special values, sizes, backends and their errors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.report import why_not
from optcc.runtime import native
from optcc.runtime.native import library
from tests.native.digests import ROWS, gradients, parameters, sizes_for
from tests.table import BY_NAME, TABLE, Row
from tests.table.row import one_in, secondary
from tests.trees import RAGGED, Leaves, assert_relative, ragged

pytestmark = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())


def interpreter(tx: Any) -> Any:
    """One step by the reference interpreter, jitted."""

    @jax.jit
    def step(grads: Any, state: Any, params: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optcc.apply_updates(params, updates), state

    return step


def compiled(tx: Any, params: Any, **options: Any) -> Any:
    """The step compiled to native kernels alone."""
    opt = optcc.compile(tx, params, backend="native", **options)
    assert not any(why_not(opt))
    return opt


def check(got: Any, expected: Any, what: str, *, exact: bool) -> None:
    """Elementwise: within 2 ulps, or as close to zero as 4 roundings of 1, since products and sums may be fused.

    What reads a reduction: 1e-5, or an ulp of a narrower type, relative to the largest value of the leaf. Dtypes, NaN,
    infinities, and what is no float: equal.
    """
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        where = f"{what}{jax.tree_util.keystr(path)}"
        assert (x.dtype, x.shape) == (y.dtype, y.shape), where
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = map(jax.random.key_data, (x, y))
        if not jnp.issubdtype(x.dtype, jnp.floating):
            np.testing.assert_array_equal(x, y, err_msg=where)
            continue
        a, b = (np.asarray(v, np.float64) for v in (x, y))
        epsilon = float(jnp.finfo(x.dtype).eps)
        rtol, atol = 2 * epsilon, 4 * min(epsilon, 2**-23)
        if not exact:
            rtol = max(1e-5, epsilon)
            atol = max(atol, rtol * float(np.max(np.abs(b), initial=0, where=np.isfinite(b))))
        np.testing.assert_allclose(a, b, rtol, atol, err_msg=where)


# The table

STEPWISE = [row for row in TABLE if RAGGED in row.leaves and row.inputs == "arrays" and not row.wraps]


@pytest.mark.parametrize("row", STEPWISE, ids=lambda row: row.name)
def test_table(row: Row) -> None:
    """Each step against the interpreter from the same state, and ten steps against Optax."""
    tx, theirs = row.make(optcc), row.make(optax)
    params = expected_params = ragged(0)
    opt, step = compiled(tx, params), interpreter(tx)
    expected_step = jax.jit(theirs.update)
    state, expected_state = opt.init(params), theirs.init(params)
    params = jax.tree.map(jnp.copy, params)
    for i in range(10):
        grads = ragged(i + 1)
        near = step(grads, state, params)
        params, state = opt.step(grads, state, params)
        check((params, state), near, f"step {i} ", exact=row.exact)
        updates, expected_state = expected_step(grads, expected_state, expected_params)
        expected_params = optax.apply_updates(expected_params, updates)
    rtol = 2e-2 if any(x.dtype == jnp.bfloat16 for x in jax.tree.leaves(state)) else 2e-5
    assert_relative((params, state), (expected_params, expected_state), rtol=rtol)


OTHERS = [(row, leaves) for row in TABLE for leaves in row.leaves if row.wraps or leaves is not RAGGED]


@pytest.mark.parametrize(("row", "leaves"), one_in(2, [secondary(*case) for case in OTHERS]))
def test_other_rows(row: Row, leaves: Leaves) -> None:
    """Each step against the interpreter. (`tests/parity` compares these kernels with Optax.)"""
    _few_steps(row, leaves, jnp.float32)


@pytest.mark.exhaustive
@pytest.mark.parametrize("row", [row for row in STEPWISE if row.exact], ids=lambda row: row.name)
def test_bfloat16(row: Row) -> None:
    _few_steps(row, RAGGED, jnp.bfloat16)


def _few_steps(row: Row, leaves: Leaves, dtype: Any) -> None:
    tx = row.make(optcc)
    params = row.like(leaves.fill(0, dtype))
    opt, step = compiled(tx, params, examples=max(row.examples, 1)), interpreter(tx)
    state = opt.init(params)
    for i in range(4):
        grads = leaves.fill(i + 1, dtype, front=row.examples)
        near = step(grads, state, params)
        params, state = opt.step(grads, state, params)
        check((params, state), near, f"step {i} ", exact=row.exact)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("name", ["adamw", "lamb", "sgd_momentum", "adafactor"])
def test_other_dtypes(name: str, dtype: Any) -> None:
    row = BY_NAME[name]
    with jax.enable_x64(dtype == "float64"):
        tx, sizes = row.make(optcc), (7, (9, 33), 1000)
        params = parameters(sizes, 0, dtype)
        opt, step = compiled(tx, params), interpreter(tx)
        state = opt.init(params)
        for i in range(3):
            near = step(gradients(sizes, i, dtype), state, params)
            params, state = opt.step(gradients(sizes, i, dtype), state, params)
            check((params, state), near, f"step {i} ", exact=row.exact)


# Special values

_DENORMAL = [1e-45, -1e-45, 1e-40, -3e-39]
_NORMAL = [1.1754944e-38, -2e-38, 1e-25, -1e-19, 1.0, -2.5, 1e18, -1e25, 3e38, -3e38]
SPECIAL = np.array([0.0, -0.0, *_DENORMAL, *_NORMAL, np.inf, -np.inf, np.nan], np.float32)
"""Zeros, denormals, the least normal number, squares that are denormal or overflow, infinities, NaN."""


ON_SPECIAL = {
    "sgd": optcc.sgd(0.5),
    "momentum": optcc.sgd(1e-2, 0.9),
    "adamw": optcc.adamw(1e-2),
    "lion": optcc.lion(1e-2),
    "rmsprop": optcc.rmsprop(0.5),
    "clip": optcc.chain(optcc.clip(1e-39), optcc.trace(0.5)),
    "amsgrad": optcc.amsgrad(0.5),
}


@pytest.mark.parametrize("repeat", [1, 600], ids=["one_thread", "many_threads"])
@pytest.mark.parametrize("name", ON_SPECIAL)
def test_special_values(name: str, repeat: int) -> None:
    """Every pair as gradient and parameter, three steps: the same NaN, infinities, zeros and signs."""
    tx = ON_SPECIAL[name]
    grads, params = (jnp.asarray(np.tile(x.ravel(), repeat)) for x in np.meshgrid(SPECIAL, SPECIAL))
    opt, step = compiled(tx, params), interpreter(tx)
    state = opt.init(params)
    for i in range(3):
        near = step(grads, state, params)
        params, state = opt.step(grads, state, params)
        for got, expected in zip(jax.tree.leaves((params, state)), jax.tree.leaves(near), strict=True):
            same_specials(np.asarray(got), np.asarray(expected), f"{name} step {i}")


def same_specials(a: np.ndarray, b: np.ndarray, what: str) -> None:
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b), what)
    a, b = (x[~np.isnan(x)] for x in (np.atleast_1d(a), np.atleast_1d(b)))
    np.testing.assert_array_equal(np.signbit(a), np.signbit(b), what)
    np.testing.assert_array_equal(a == 0, b == 0, what)
    np.testing.assert_allclose(a, b, 3e-7, 1e-7, err_msg=what)  # a parameter of 1 and its update may nearly cancel


# Sizes


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_sizes(row: Row) -> None:
    """Leaves around the bounds of chunks, without elements, 0-d, and of rank 2 and 3."""
    tx, sizes = row.make(optcc), sizes_for(row)
    params = parameters(sizes, 0)
    opt, step = compiled(tx, params), interpreter(tx)
    state = opt.init(params)
    for i in range(2):
        grads = gradients(sizes, i)
        near = step(grads, state, params)
        params, state = opt.step(grads, state, params)
        check((params, state), near, f"step {i} ", exact=row.exact)


def test_thousands_of_leaves() -> None:
    """Several calls: folds of all of them are combined, and per-leaf values find their leaf."""
    sizes = [1 + i % 7 if i % 5 else (2, 1 + i % 3) for i in range(2_000)]
    tx = optcc.chain(optcc.clip_by_global_norm(0.7), optcc.scale_by_trust_ratio(), optcc.sgd(0.1, 0.9))
    params, grads = parameters(sizes, 0), gradients(sizes, 0)
    opt = compiled(tx, params)
    assert opt.stablehlo().count("custom_call @optcc_sweep") > 4
    expected = [np.asarray(x, np.float64) for x in params]
    norm = np.sqrt(sum(np.sum(np.float64(g) ** 2) for g in grads))
    for p, g in zip(expected, (np.asarray(g, np.float64) / norm * 0.7 for g in grads), strict=True):
        p -= 0.1 * g * np.linalg.norm(p) / np.linalg.norm(g)
    params, _ = opt.step(grads, opt.init(params), params)
    for p, x in zip(params, expected, strict=True):
        np.testing.assert_allclose(p, x, 1e-5, 1e-6)


def test_hyperparameters_are_read_where_they_are() -> None:
    """Kernels take them out of their vector: XLA would run one kernel for each."""
    compiled = optcc.compile(optcc.sgd(0.1, 0.9), {"w": jnp.ones((3, 2))}, backend="native")
    text = compiled.stablehlo()
    assert re.search(r"value_element = array<i64: \d, \d>", text)
    assert "stablehlo.slice" not in text


def test_layouts_of_matrices_are_fixed() -> None:
    """Of vectors there is but one, and XLA takes longer where a call says so."""
    for shape in ((5,), (5, 4)):
        opt = optcc.compile(optcc.sgd(0.1, 0.9), {"w": jnp.ones(shape), "b": jnp.ones(3)}, backend="native")
        assert ("operand_layouts" in opt.stablehlo()) == (len(shape) > 1)


# Backends


def test_unknown_backend() -> None:
    with pytest.raises(ValueError, match="unknown backend 'cuda'\n  fix:   one of auto, native, stablehlo"):
        optcc.compile(optcc.sgd(0.1), jnp.ones(3), backend="cuda")


def sweep_lines(opt: Any) -> Sequence[str]:
    text = str(opt.report())
    start = text.index("backend:")
    return text[start : text.index("kernels:", start)].splitlines()


def test_report_names_backends() -> None:
    params = jnp.ones(3)
    tx = optcc.chain(optcc.clip_by_global_norm(1.0), optcc.sgd(0.1))
    assert sweep_lines(optcc.compile(tx, params)) == ["backend:         2 of 2 sweeps native, on cpu"]
    assert sweep_lines(optcc.compile(tx, params, backend="stablehlo")) == [
        "backend:         0 of 2 sweeps native, on cpu",
        "  sweep 0 runs as stablehlo: it was asked for",
        "  sweep 1 runs as stablehlo: it was asked for",
    ]


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` falls back and says why, and what to do; `native` is an error."""
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    params = {"w": jnp.ones(17)}
    opt = optcc.compile(optcc.sgd(0.3), params)
    assert "optcc_sweep" not in opt.stablehlo()
    new, _ = opt.step(params, opt.init(params), jax.tree.map(jnp.copy, params))
    np.testing.assert_allclose(new["w"], 0.7, rtol=1e-6)
    text = "\n".join(sweep_lines(opt))
    assert "0 of 1 sweeps native" in text
    assert "optcc was installed without its native library" in text
    assert "install g++ or clang++ and then optcc again" in text
    with pytest.raises(native.NativeUnavailableError, match="installed without its native library"):
        optcc.compile(optcc.sgd(0.3), params, backend="native")
    native.register()  # as on import: nothing happens


def test_a_sweep_that_kernels_do_not_support(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs as StableHLO beside native ones, the report says why, and the numbers are the same."""
    from optcc.lowering.native import calls as lowering

    supported = lowering.supported

    def without_roots(op: Any) -> str | None:
        found = any(inner.name in ("math.sqrt", "math.rsqrt", "math.powf") for inner in op.block.ops)
        return "there are no roots in kernels." if found else supported(op)

    tx = optcc.chain(optcc.clip_by_global_norm(0.7), optcc.scale_by_rss(0.1), optcc.clip_by_global_norm(0.1))
    params = ragged(0)
    expected = interpreter(tx)(ragged(1), tx.init(params), params)
    monkeypatch.setattr(lowering, "supported", without_roots)
    opt = optcc.compile(tx, params, backend="auto")
    text = "\n".join(sweep_lines(opt))
    assert "of 3 sweeps native" in text
    assert "runs as stablehlo: there are no roots in kernels." in text
    assert "optcc_sweep" in opt.stablehlo()
    check(opt.step(ragged(1), opt.init(params), params), expected, "", exact=False)
