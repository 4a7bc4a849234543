"""Guarded norms and counters: values and gradients against Optax 0.2.8, and at the points that they guard."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import numerics

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(
    ("order", "axis"),
    [
        (None, None),
        (None, (0, 2)),
        (1, -1),
        (np.inf, 2),
        ("nuc", (0, 1)),
        (2, (-1, 1)),
    ],
)
@pytest.mark.parametrize("keepdims", [False, True])
def test_safe_norm(order: Any, axis: Any, keepdims: bool) -> None:
    """Scaled so that about half of the norms are below the bound."""
    bound = float(np.median(np.asarray(jnp.linalg.norm(X, order, axis)))) if axis is not None else 2.0

    def total(function: Any, x: Any) -> Any:
        norms = function(x, bound, ord=order, axis=axis, keepdims=keepdims)
        return jnp.sum(norms * jnp.arange(1.0, norms.size + 1).reshape(norms.shape)), norms

    @jax.jit
    def both(x: Any) -> Any:
        functions = (numerics.safe_norm, optax.safe_norm)
        return [jax.value_and_grad(lambda x, f=f: total(f, x), has_aux=True)(x) for f in functions]

    ((_, norms), slopes), ((_, expected), expected_slopes) = both(X)
    assert norms.shape == expected.shape
    np.testing.assert_array_max_ulp(norms, expected, 2)
    np.testing.assert_allclose(slopes, expected_slopes, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("function", [numerics.safe_norm, numerics.safe_root_mean_squares])
@pytest.mark.parametrize(("x", "bound"), [(np.zeros(4, np.float32), 0.0), (np.full(4, 1e-3, np.float32), 0.5)])
def test_gradient_is_zero_where_the_bound_is_the_result(function: Any, x: np.ndarray, bound: float) -> None:
    value, slope = jax.value_and_grad(function)(x, bound)
    assert value == bound
    np.testing.assert_array_equal(slope, np.zeros(4))


def test_safe_norm_takes_one_bound_per_norm() -> None:
    bounds = jnp.asarray([0.1, 100.0, 0.1])
    norms, slopes = jax.vjp(lambda x: numerics.safe_norm(x, bounds, axis=1), X[0, :3])
    np.testing.assert_allclose(norms, np.maximum(np.linalg.norm(X[0, :3], axis=1), bounds), rtol=1e-6)
    (slope,) = slopes(jnp.ones(3))
    assert not slope[1].any()
    assert slope[0].all()


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.complex64, jnp.int32])
@pytest.mark.parametrize("function", ["safe_norm", "safe_root_mean_squares"])
def test_dtypes(function: str, dtype: Any) -> None:
    x = (jnp.asarray(X[0]) * 3).astype(dtype) * (1 + 2j if dtype == jnp.complex64 else 1)
    actual, expected = jax.jit(lambda x: [getattr(library, function)(x, 0.5) for library in (numerics, optax)])(x)
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(np.float32(actual), np.float32(expected), rtol=3e-7)


def test_safe_root_mean_squares() -> None:
    @jax.jit
    def both(x: Any, bound: Any) -> Any:
        return [jax.value_and_grad(library.safe_root_mean_squares)(x, bound) for library in (numerics, optax)]

    for bound in (0.0, 0.9, 5.0):
        actual, expected = both(X, bound)
        np.testing.assert_array_max_ulp(actual[0], expected[0], 2)
        np.testing.assert_allclose(actual[1], expected[1], rtol=2e-6)


def test_abs_sq() -> None:
    np.testing.assert_array_equal(numerics.abs_sq(jnp.asarray([1.5, -2.0])), [2.25, 4.0])
    square = numerics.abs_sq(jnp.asarray([3 + 4j, -1j]))
    assert square.dtype == jnp.float32
    np.testing.assert_array_equal(square, [25.0, 1.0])
    np.testing.assert_array_equal(jax.grad(lambda x: numerics.abs_sq(x).sum())(jnp.zeros(2, jnp.complex64)), [0, 0])


@pytest.mark.parametrize(
    "dtype", [jnp.int8, jnp.uint8, jnp.int16, jnp.int32, jnp.uint32, jnp.float16, jnp.bfloat16, jnp.float32]
)
def test_increment_stops_at_the_largest(dtype: Any) -> None:
    largest = (jnp.iinfo if jnp.issubdtype(dtype, jnp.integer) else jnp.finfo)(dtype).max
    functions = (numerics.safe_increment, numerics.safe_int32_increment, optax.safe_increment)
    counts = np.asarray([0, 41, largest], dtype)
    for result in jax.jit(lambda counts: [function(counts) for function in functions])(counts):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, np.asarray([1, 42, largest], dtype))


def test_increment_of_python_number_and_array() -> None:
    assert numerics.safe_int32_increment(7) == 8
    np.testing.assert_array_equal(numerics.safe_int32_increment(np.asarray([1, 2**31 - 1], np.int32)), [2, 2**31 - 1])


@pytest.mark.parametrize("count", [True, jnp.complex64(1)])
def test_increment_refuses(count: Any) -> None:
    with pytest.raises(ValueError, match=r"safe_increment: cannot count in dtype (bool|complex64)\n  fix:"):
        numerics.safe_int32_increment(count)
