"""The figures of docs/differences.md: what Optax gives, what optcc gives, and the formula in float64."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.exact_formulas import adam, radam, trajectory


def last_update(tx: Any, grads: Any, params: Any, steps: int) -> Any:
    """The updates of the last of some steps with the same gradients."""
    state, update, updates = tx.init(params), jax.jit(tx.update), None
    for _ in range(steps):
        updates, state = update(grads, state, params)
    return updates


@pytest.mark.parametrize(
    ("dtype", "theirs", "ours", "right"),
    [(jnp.float16, 0.9727, 0.9917, 0.9915), (jnp.bfloat16, 0.8516, 0.9961, 0.9968)],
)
def test_narrow_parameters_are_computed_in_float32(dtype: Any, theirs: float, ours: float, right: float) -> None:
    g = np.asarray(jnp.asarray(0.02, dtype))
    mu: Any = np.zeros_like(g)
    nu: Any = np.zeros_like(g)
    for _ in range(200):
        mu = np.asarray(0.9 * np.float64(mu) + 0.1 * np.float64(g), g.dtype)
        nu = np.asarray(0.999 * np.float64(nu) + 0.001 * np.float64(g) ** 2, g.dtype)
    exact = np.float64(mu) / (1 - 0.9**200) / (np.sqrt(np.float64(nu) / (1 - 0.999**200)) + 1e-8)
    assert exact == pytest.approx(right, abs=5e-5)
    # How XLA rounds between Optax's operations depends on the CPU.
    for library, expected, margin in ((optax, theirs, 2e-2), (optcc, ours, 5e-5)):
        found = last_update(library.scale_by_adam(), jnp.asarray(g), jnp.zeros((), dtype), 200)
        assert float(found) == pytest.approx(expected, abs=margin)


def worst(found: Any, expected: Any) -> float:
    """The largest relative error."""
    return float(np.max(np.abs(np.asarray(found) / np.asarray(expected) - 1)))


@pytest.mark.parametrize(
    ("b2", "theirs", "ours"),
    [(0.999, (8e-6, 2e-5), 8e-7), (0.99999, (5e-4, 1e-3), 8e-7), (0.9999999, (8e-2, 0.1), 8e-7)],
)
def test_bias_correction(b2: float, theirs: tuple[float, float], ours: float) -> None:
    right = adam(0.9, b2)
    low, high = theirs
    assert low < worst(trajectory(optax.scale_by_adam(0.9, b2, 0.0), "pair"), right) < high
    assert worst(trajectory(optcc.scale_by_adam(0.9, b2, 0.0), "pair"), right) < ours


@pytest.mark.parametrize(
    ("b2", "theirs", "ours"),
    [(0.999, (5e-3, 7e-3), 1.2e-6), (0.99999, (10, 15), 1.2e-6), (0.9999999, (1e3, 2e3), 1.2e-6)],
)
def test_rectification(b2: float, theirs: tuple[float, float], ours: float) -> None:
    right = radam(0.9, b2, 5.0)
    low, high = theirs
    assert low < worst(trajectory(optax.scale_by_radam(0.9, b2, 0.0), "pair"), right) < high
    assert worst(trajectory(optcc.scale_by_radam(0.9, b2, 0.0), "pair"), right) < ours


def test_weight_of_adafactor() -> None:
    params = jnp.ones(4)
    right = 4 * (10**6 + 1) ** -0.8
    for library, low, high in ((optax, 2e-4, 6e-4), (optcc, 0, 1e-6)):
        tx = library.scale_by_factored_rms()
        state = tx.init(params)._replace(count=jnp.int32(10**6))
        _, new = jax.jit(tx.update)(2 * params, state, params)
        assert low <= worst(new.v, right) < high


def test_zero_by_zero() -> None:
    params = jnp.ones(4)
    chains: list[tuple[Any, Any, float]] = [
        (lambda lib: lib.clip_by_global_norm(0.0), 0 * params, 0.0),
        (lambda lib: lib.clip_by_block_rms(0.0), 0 * params, 0.0),
        (lambda lib: lib.scale_by_factored_rms(step_offset=3), params, 1.0),
    ]
    for make, grads, right in chains:
        assert np.isnan(last_update(make(optax), grads, params, 6)).all()
        np.testing.assert_allclose(last_update(make(optcc), grads, params, 6), right, rtol=1e-6)


def test_sums_of_squares() -> None:
    for library in (optax, optcc):
        tx = library.clip_by_global_norm(1.0)
        np.testing.assert_array_equal(last_update(tx, jnp.full(4, 1e20), jnp.ones(4), 1), 0.0)
        half = last_update(tx, jnp.full(4, 300, jnp.float16), jnp.ones(4, jnp.float16), 1)
        np.testing.assert_array_equal(np.float64(half), 0.0 if library is optax else 0.5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_injected_hyperparameters_are_float32(dtype: Any) -> None:
    grads, params = jnp.full(3, 0.5, dtype), jnp.ones(3, dtype)
    theirs, ours = (library.inject_hyperparams(library.adamw)(1e-3, weight_decay=0.0) for library in (optax, optcc))
    assert theirs.init(params).hyperparams["b2"].dtype == dtype
    assert {x.dtype for x in ours.init(params).hyperparams.values()} == {jnp.dtype(jnp.float32)}
    if dtype == jnp.bfloat16:
        assert np.isnan(np.float64(last_update(theirs, grads, params, 1))).all()
    for compiled in (False, True):
        tx = optcc.compile(ours, params) if compiled else ours
        np.testing.assert_allclose(np.float64(last_update(tx, grads, params, 1)), -1e-3, rtol=4e-3)
    asked = optcc.inject_hyperparams(optcc.adamw, hyperparam_dtype=dtype)(1e-3)
    assert asked.init(params).hyperparams["b2"].dtype == dtype
