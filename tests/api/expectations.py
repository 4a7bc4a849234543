"""Expectations of which the gradients are known.

``E[sum(w * x**2)]`` over a diagonal Gaussian is ``sum(w * (m**2 + s**2))``: its gradient is ``2 * w * m`` by the mean
``m`` and ``2 * w * s**2`` by ``log(s)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optcc import monte_carlo

ESTIMATORS = [
    monte_carlo.score_function_jacobians,
    monte_carlo.pathwise_jacobians,
    monte_carlo.measure_valued_jacobians,
]
KEY = jax.random.key(11)
LOC, LOG_SCALE = jnp.array([1.0, -0.5]), jnp.array([-1.2, -0.7])
PARAMS = (LOC, LOG_SCALE)
WEIGHTS = jnp.array([1.0, -2.0])
VARIANCE = jnp.exp(2 * LOG_SCALE)


def constant(x: jax.Array) -> jax.Array:
    return jnp.zeros_like(x).sum() + 3.0


def linear(x: jax.Array) -> jax.Array:
    return jnp.sum(WEIGHTS * x)


def quadratic(x: jax.Array) -> jax.Array:
    return jnp.sum(WEIGHTS * x**2)


def cosine(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.cos(x))


DAMPED = jnp.exp(-VARIANCE / 2)  # E[cos(x)] = cos(m) * exp(-s**2 / 2)
EXACT: list[tuple[Callable[[jax.Array], jax.Array], tuple[Any, Any]]] = [
    (constant, (jnp.zeros(2), jnp.zeros(2))),
    (linear, (WEIGHTS, jnp.zeros(2))),
    (quadratic, (2 * WEIGHTS * LOC, 2 * WEIGHTS * VARIANCE)),
    (cosine, (-jnp.sin(LOC) * DAMPED, -jnp.cos(LOC) * VARIANCE * DAMPED)),
]


def assert_unbiased(jacobians: Any, exact: Any) -> None:
    """The mean is within five standard errors of the gradient: a test that fails by chance once in a million."""
    for jacobian, gradient in zip(jacobians, exact, strict=True):
        error = np.std(jacobian, axis=0) / np.sqrt(jacobian.shape[0])
        assert (np.abs(np.mean(jacobian, axis=0) - gradient) <= 5 * error + 1e-5).all()


def variance(jacobians: Any) -> float:
    return sum(float(np.var(j, axis=0).sum()) for j in jacobians)
