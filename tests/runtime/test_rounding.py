"""Rounding to float16 and bfloat16 on every backend: all numbers, the middles between them, and their neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.formula.definition import stateless
from optcc.interpret.interpreter import evaluate_op
from optcc.runtime import native

NARROW = [np.dtype(np.float16), np.dtype(jnp.bfloat16)]
NAMES = [dtype.name for dtype in NARROW]
BACKENDS = [
    "pair",
    "jitted pair",
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]
LEAST_NORMAL = float(np.finfo(np.float32).tiny)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """numpy warns of NaN and of overflow when it converts."""
    with np.errstate(invalid="ignore", over="ignore"):
        yield


@cache
def numbers(narrow: np.dtype, wide: np.dtype) -> np.ndarray:
    """Every number of the narrow type, every middle of two, the first that overflow, and both neighbours of each."""
    every = np.arange(1 << 16, dtype=np.uint16).view(narrow)
    finite = np.unique(np.float64(every[np.isfinite(every)]))
    middles = (finite[1:] + finite[:-1]) / 2
    beyond = finite[-1] + (finite[-1] - finite[-2]) * np.array([0.5, 1.0])
    points = np.concatenate([finite, middles, beyond, -beyond, [np.inf, -np.inf, np.nan, 0.0, -0.0]]).astype(wide)
    around = [np.nextafter(points, wide.type(to)) for to in (-np.inf, np.inf)]
    if wide == np.float64:  # also where only float64 sees on which side of the middle they are
        around += [points * (1 + sign * 2.0**-40) for sign in (-1, 1)]
    result = np.concatenate([points, *around])
    # Arithmetic on float32's denormals flushes them; what is rounded here may be one.
    return result[~((result != 0) & (np.abs(result) < LEAST_NORMAL))]


def nearest_even(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Rounded once, from the definition, in float64."""
    info = jnp.finfo(dtype)
    exact = np.float64(x)
    exponent = np.maximum(np.frexp(exact)[1] - 1, int(info.minexp))
    unit = np.ldexp(1.0, exponent - int(info.nmant))
    rounded = np.rint(exact / unit) * unit
    return np.where(np.abs(rounded) > float(info.max), np.copysign(np.inf, exact), rounded)


def same(got: Any, expected: Any) -> None:
    """Every number, with the sign of zeros."""
    found = np.float64(np.asarray(got))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected), strict=True)


def stored_as(dtype: np.dtype) -> Any:
    """Updates in another dtype, rounded where they are stored."""
    return stateless("stored", lambda b, g, params: type(g)(b, g.leaf_set, g.parts, dict.fromkeys(g.parts, dtype)))


def there_and_back(dtype: np.dtype) -> Any:
    """Updates rounded inside a sweep, and stored in their own dtype."""

    def update(b: Any, g: Any, params: Any) -> Any:
        rounded = b.load(g.leaf_set, b.store(g, dict.fromkeys(g.parts, dtype)))
        return b.cast_like(rounded, g)

    return stateless("there_and_back", update)


def run(tx: Any, x: np.ndarray, backend: str) -> jax.Array:
    grads = {"x": jnp.asarray(x)}
    if backend in ("stablehlo", "native"):
        opt: Any = optcc.compile(tx, grads, backend=backend)
        return opt.update(grads, opt.init(grads))[0]["x"]
    update = jax.jit(tx.update) if backend == "jitted pair" else tx.update
    return update(grads, tx.init(grads))[0]["x"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("narrow", NARROW, ids=NAMES)
@pytest.mark.parametrize("wide", ["float32", "float64"])
def test_every_number_is_rounded_once(wide: str, narrow: np.dtype, backend: str) -> None:
    with jax.enable_x64(wide == "float64"):
        x = numbers(narrow, np.dtype(wide))
        expected = nearest_even(x, narrow)
        stored = run(stored_as(narrow), x, backend)
        assert stored.dtype == narrow
        same(stored, expected)
        back = run(there_and_back(narrow), x, backend)
        assert back.dtype == wide
        same(back, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("narrow", NARROW, ids=NAMES)
def test_every_number_is_widened_exactly(narrow: np.dtype, backend: str) -> None:
    """float16's denormals are normal numbers of float32; those of bfloat16 are not and may be flushed."""
    x = np.arange(1 << 16, dtype=np.uint16).view(narrow)
    x = x[~((np.float64(x) != 0) & (np.abs(np.float64(x)) < LEAST_NORMAL))]
    same(run(stored_as(np.dtype(np.float32)), x, backend), np.float64(x))
    same(run(optcc.scale(1.0), x, backend), np.float64(x))


@pytest.mark.parametrize("backend", ["stablehlo", "native"])
@pytest.mark.parametrize("narrow", NARROW, ids=NAMES)
def test_conversions_around_a_step_do_not_undo_its_rounding(narrow: np.dtype, backend: Any) -> None:
    """XLA sees the user's conversion beside ours, in one program."""
    x = numbers(narrow, np.dtype(np.float32))
    opt: Any = optcc.compile(stored_as(narrow), {"x": jnp.asarray(x)}, backend=backend)
    step = jax.jit(lambda g: opt.update({"x": g}, opt.init({"x": g}))[0]["x"].astype(jnp.float32) * 1.0)
    same(step(x), nearest_even(x, narrow))


@pytest.mark.parametrize("narrow", NARROW, ids=NAMES)
def test_numbers_of_the_host_are_rounded_once(narrow: np.dtype) -> None:
    from xdsl.dialects import arith
    from xdsl.dialects.builtin import f64
    from xdsl.ir import Block

    from optcc.dtypes import type_of

    op = arith.TruncFOp(Block(arg_types=[f64]).args[0], type_of(narrow))
    x = numbers(narrow, np.dtype(np.float64))[::97]
    same(np.array([evaluate_op(op, [value])[0] for value in x]), nearest_even(x, narrow))


@pytest.mark.parametrize("backend", BACKENDS)
def test_float16_adam_on_a_constant_gradient(backend: str) -> None:
    """Its second moment is denormal at first. With a state that is rounded where it is stored, from the definition."""
    g, steps = np.float16(0.02), 200
    mu = nu = np.float16(0)
    for _ in range(steps):
        mu, nu = np.float16(0.9 * float(mu) + 0.1 * float(g)), np.float16(0.999 * float(nu) + 0.001 * float(g) ** 2)
    expected = float(mu) / (1 - 0.9**steps) / (np.sqrt(float(nu) / (1 - 0.999**steps)) + 1e-8)
    assert 0.95 < expected < 1.05
    params, tx = {"w": jnp.zeros(5, jnp.float16)}, optcc.scale_by_adam()
    grads = {"w": jnp.full(5, g)}
    update = jax.jit(tx.update)
    if backend in ("stablehlo", "native"):
        opt: Any = optcc.compile(tx, params, backend=backend)
        update = jax.jit(opt.update)
    elif backend == "pair":
        update = tx.update
    state = tx.init(params)
    updates: Any = None
    for _ in range(steps):
        updates, state = update(grads, state, params)
    np.testing.assert_array_equal(np.float64(state.nu["w"]), float(nu))
    np.testing.assert_allclose(np.float64(updates["w"]), expected, rtol=2e-3)


@pytest.mark.parametrize("dtype", NARROW, ids=NAMES)
def test_a_rounding_has_the_derivative_of_a_conversion(dtype: np.dtype) -> None:
    """Bit casts have none."""
    params = {"w": jnp.arange(1.0, 4.0, dtype=dtype)}
    grads = {"w": jnp.full(3, 0.5, dtype)}

    def loss(rate: Any) -> Any:
        tx = optcc.sgd(rate)
        updates, _ = tx.update(grads, tx.init(params), params)
        return updates["w"].astype(jnp.float32).sum()

    assert float(jax.grad(loss)(jnp.float32(0.25))) == -1.5
    assert float(jax.jvp(loss, (jnp.float32(0.25),), (jnp.float32(2.0),))[1]) == -3.0
    opt = optcc.compile(optcc.sgd(0.25), params)
    tangents = jax.grad(lambda g: opt.update(g, opt.init(params), params)[0]["w"].astype(jnp.float32).sum())(grads)
    np.testing.assert_array_equal(np.float64(tangents["w"]), -0.25)
