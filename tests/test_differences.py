"""The figures of docs/differences.md: what Optax gives, what optcc gives, and the formula in float64."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc


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
