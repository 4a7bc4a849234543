"""Gradient estimators against known gradients of expectations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optcc import monte_carlo
from optcc.distributions import multi_normal
from tests.api.expectations import (
    ESTIMATORS,
    EXACT,
    KEY,
    LOC,
    LOG_SCALE,
    PARAMS,
    VARIANCE,
    WEIGHTS,
    assert_unbiased,
    constant,
    linear,
    quadratic,
    variance,
)


@pytest.mark.parametrize(
    "estimator",
    [*ESTIMATORS, partial(monte_carlo.measure_valued_jacobians, coupling=False)],
    ids=["score", "pathwise", "measure", "uncoupled"],
)
def test_estimators_are_unbiased(estimator: Callable[..., Any]) -> None:
    functions = [function for function, _ in EXACT]
    results = jax.jit(lambda: [estimator(f, PARAMS, multi_normal, KEY, 20_000) for f in functions])()
    for jacobians, (_, exact) in zip(results, EXACT, strict=True):
        assert isinstance(jacobians, tuple)
        assert [j.shape for j in jacobians] == [(20_000, 2)] * 2
        assert_unbiased(jacobians, exact)


def test_zero_variance_cases() -> None:
    """Estimates that are exact for each sample alone."""
    pathwise, measure_valued = monte_carlo.pathwise_jacobians, monte_carlo.measure_valued_jacobians
    flat, by_params = jax.jit(
        lambda: (
            [estimator(constant, PARAMS, multi_normal, KEY, 5) for estimator in (pathwise, measure_valued)],
            pathwise(linear, PARAMS, multi_normal, KEY, 5),
        )
    )()
    for jacobian in jax.tree.leaves(flat):
        np.testing.assert_array_equal(jacobian, jnp.zeros((5, 2)))
    np.testing.assert_allclose(by_params[0], jnp.tile(WEIGHTS, (5, 1)), rtol=1e-6)


def test_coupling_lowers_the_variance() -> None:
    """Around its minimum a quadratic is even: the two sides of one coupled draw cancel in the gradient by the mean."""
    centred = (jnp.zeros(2), LOG_SCALE)
    estimate = jax.jit(partial(monte_carlo.measure_valued_jacobians, quadratic), static_argnums=(1, 3, 4))
    coupled, independent = (estimate(centred, multi_normal, KEY, 2_000, coupling) for coupling in (True, False))
    assert variance(coupled[:1]) < 1e-10 < variance(independent[:1])
    assert 1.5 * variance(coupled[1:]) < variance(independent[1:])


def test_a_step_has_no_derivative_to_need() -> None:
    """The number of positive coordinates: two estimators find the gradient, the pathwise one is zero."""

    def step(x: jax.Array) -> jax.Array:
        return jnp.sum(jnp.where(x > 0, 1.0, 0.0))

    density = jnp.exp(-(LOC**2) / (2 * VARIANCE)) / jnp.sqrt(2 * jnp.pi)
    exact = (density / jnp.exp(LOG_SCALE), -density * LOC / jnp.exp(LOG_SCALE))
    results = jax.jit(lambda: [estimator(step, PARAMS, multi_normal, KEY, 20_000) for estimator in ESTIMATORS])()
    for estimator, jacobians in zip(ESTIMATORS, results, strict=True):
        if estimator is monte_carlo.pathwise_jacobians:
            assert not any(j.any() for j in jacobians)
        else:
            assert_unbiased(jacobians, exact)


@dataclass
class Bernoulli:
    """A discrete distribution with the interface that the estimators ask for, and one parameter."""

    logit: jax.Array

    def sample(self, shape: Any, *, seed: jax.Array) -> jax.Array:
        return jax.random.bernoulli(seed, jax.nn.sigmoid(self.logit), (*shape, *self.logit.shape)).astype(jnp.float32)

    def log_prob(self, x: jax.Array) -> jax.Array:
        return jnp.sum(x * jax.nn.log_sigmoid(self.logit) + (1 - x) * jax.nn.log_sigmoid(-self.logit))


def test_score_function_with_a_discrete_distribution() -> None:
    logit = jnp.array([0.4, -1.0])
    (jacobian,) = jax.jit(lambda p: monte_carlo.score_function_jacobians(linear, [p], Bernoulli, KEY, 20_000))(logit)
    p = jax.nn.sigmoid(logit)
    assert_unbiased([jacobian], [WEIGHTS * p * (1 - p)])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_any_event_shape(estimator: Callable[..., Any]) -> None:
    for shape in ((), (2, 3)):
        params = (jnp.ones(shape), jnp.zeros(shape))
        jacobians = jax.eval_shape(lambda p: estimator(jnp.sum, p, multi_normal, KEY, 4), params)
        assert [j.shape for j in jacobians] == [(4, *shape)] * 2


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_errors(estimator: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"one number per sample, got shape \(2,\)"):
        jax.eval_shape(lambda p: estimator(lambda x: x, p, multi_normal, KEY, 3), PARAMS)
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        estimator(linear, PARAMS, multi_normal, KEY, 0)


def test_measure_valued_errors() -> None:
    with pytest.raises(ValueError, match=r"must be optcc\.multi_normal"):
        monte_carlo.measure_valued_jacobians(linear, PARAMS, lambda *p: multi_normal(*p), KEY, 3)
    with pytest.raises(ValueError, match=r"loc has shape \(2,\), log_scale \(\)"):
        monte_carlo.measure_valued_jacobians(linear, (LOC, LOG_SCALE[0]), multi_normal, KEY, 3)
