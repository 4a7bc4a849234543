"""Control variates against known gradients of expectations, and what they do to the variance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optcc import monte_carlo
from optcc.distributions import multi_normal
from optcc.monte_carlo.control_variate_jacobians import estimate_control_variate_coefficients
from tests.api.expectations import (
    ESTIMATORS,
    EXACT,
    KEY,
    LOC,
    PARAMS,
    VARIANCE,
    WEIGHTS,
    assert_unbiased,
    constant,
    cosine,
    linear,
    quadratic,
    variance,
)


def test_delta_method_is_exact_for_quadratics() -> None:
    def coupled(x: jax.Array) -> jax.Array:
        return quadratic(x) + 3 * x[0] * x[1] + linear(x) - 1

    value, expectation, update_state = monte_carlo.control_delta_method(coupled)
    points = jnp.array([[1.0, -0.5], [4.0, -7.0]])
    values, expected = jax.jit(lambda x: (jax.vmap(lambda y: value(PARAMS, y, None))(x), expectation(PARAMS, None)))(
        points
    )
    np.testing.assert_allclose(values, jax.jit(jax.vmap(coupled))(points), rtol=1e-5)
    np.testing.assert_allclose(expected, coupled(LOC) + jnp.sum(WEIGHTS * VARIANCE), rtol=1e-6)
    assert update_state(PARAMS, points, "kept") == "kept"


def test_delta_method_is_an_expansion() -> None:
    """The remainder of a function that is not quadratic is of third order; the expectation is that of the expansion."""
    value, expectation, _ = monte_carlo.control_delta_method(cosine)
    _, of_matrix, _ = monte_carlo.control_delta_method(lambda x: jnp.sum(x**2))

    @jax.jit
    def run() -> Any:
        near = LOC + jnp.array([0.2, -0.1])
        values = jax.vmap(lambda x: value(PARAMS, x, None))(multi_normal(*PARAMS).sample((20_000,), seed=KEY))
        matrix = (jnp.ones((2, 3)), jnp.zeros((2, 3)))
        return value(PARAMS, near, None) - cosine(near), values, expectation(PARAMS, None), of_matrix(matrix, None)

    remainder, values, expected, expected_of_matrix = run()
    assert 0 < abs(remainder) < (0.2**3 + 0.1**3) / 6
    assert_unbiased([values], [expected])
    np.testing.assert_allclose(expected_of_matrix, 6 + 6)


@pytest.mark.parametrize("heuristic", [True, False])
@pytest.mark.parametrize("debias", [True, False])
def test_moving_average(debias: bool, heuristic: bool) -> None:
    """The recurrence, written out, over more updates than the heuristic lasts for this decay."""
    decay = 0.6
    value, expectation, update = monte_carlo.moving_avg_baseline(linear, decay, debias, heuristic)
    update = jax.jit(update)
    state: Any = (0.0, 0)
    raw, kept = 0.0, 1.0
    rng = np.random.default_rng(0)
    for i in range(16):
        samples = jnp.asarray(rng.normal(1, 1, (4, 2)), jnp.float32)
        d = min(decay, (1 + i) / (10 + i)) if heuristic else decay
        raw = d * raw + (1 - d) * float(np.mean(samples @ WEIGHTS))
        kept *= d
        state = update(PARAMS, samples, state)
        assert isinstance(state, tuple)
        want = raw / (1 - kept) if debias else raw
        np.testing.assert_allclose(state[0], want, rtol=1e-4, atol=1e-5)
        assert state[1] == i + 1
        assert value(PARAMS, samples[0], state) == expectation(PARAMS, state) == state[0]


@pytest.mark.parametrize("decay", [0.0, 0.05, 0.99, 1.0])
def test_debiased_average_of_a_constant_is_the_constant(decay: float) -> None:
    update = monte_carlo.moving_avg_baseline(constant, decay)[2]
    samples = jnp.ones((3, 2))
    (average, count), averages = jax.lax.scan(
        lambda state, _: (update(PARAMS, samples, state), state[0]), (jnp.array(0.0), jnp.array(0)), length=1000
    )
    np.testing.assert_allclose(jnp.append(averages[1:], average), jnp.full(1000, 3.0), rtol=1e-4)
    assert count == 1000


def test_moving_average_errors() -> None:
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got 1.5"):
        monte_carlo.moving_avg_baseline(linear, 1.5)
    with pytest.raises(ValueError, match="with decay 1 nothing is averaged"):
        monte_carlo.moving_avg_baseline(linear, 1.0, use_decay_early_training_heuristic=False)
    with pytest.raises(ValueError, match=r"start with control_variate_state=\(0.0, 0\)"):
        monte_carlo.control_variates_jacobians(
            linear, monte_carlo.moving_avg_baseline, ESTIMATORS[0], PARAMS, multi_normal, KEY, 3
        )


def with_variate(
    estimator: Any, function: Any, variate: Any, samples: int, state: Any = None, estimate: bool = False
) -> Any:
    return monte_carlo.control_variates_jacobians(
        function,
        variate,
        estimator,
        list(PARAMS),
        multi_normal,
        KEY,
        samples,
        control_variate_state=state,
        estimate_cv_coeffs=estimate,
        estimate_cv_coeffs_num_samples=50,
    )


ESTIMATOR_AND_COEFFICIENTS = [
    (monte_carlo.score_function_jacobians, False),
    (monte_carlo.score_function_jacobians, True),
    (monte_carlo.pathwise_jacobians, True),
    (monte_carlo.measure_valued_jacobians, False),
]


@pytest.mark.parametrize(("estimator", "estimate"), ESTIMATOR_AND_COEFFICIENTS)
def test_delta_method_takes_the_noise_out(estimator: Any, estimate: bool) -> None:
    """All of it for a quadratic function with coefficient 1; most of it for a cosine."""
    delta = monte_carlo.control_delta_method
    (of_quadratic, state), (of_cosine, _), plain = jax.jit(
        lambda: (
            with_variate(estimator, quadratic, delta, 100, estimate=estimate),
            with_variate(estimator, cosine, delta, 5_000, estimate=estimate),
            estimator(cosine, PARAMS, multi_normal, KEY, 5_000),
        )
    )()
    assert state is None
    for jacobian, exact in zip(of_quadratic, EXACT[2][1], strict=True):
        # An estimated coefficient misses 1 by eps over the variance.
        np.testing.assert_allclose(jacobian, jnp.tile(exact, (100, 1)), atol=2e-2 if estimate else 1e-5)
    assert_unbiased(of_cosine, EXACT[3][1])
    assert 4 * variance(of_cosine) < variance(plain)


@pytest.mark.parametrize(("estimator", "estimate"), ESTIMATOR_AND_COEFFICIENTS)
def test_baseline_helps_the_score_function_only(estimator: Any, estimate: bool) -> None:
    def shifted(x: jax.Array) -> jax.Array:
        return linear(x) + 20.0

    plain, (jacobians, state) = jax.jit(
        lambda: (
            estimator(shifted, PARAMS, multi_normal, KEY, 5_000),
            with_variate(estimator, shifted, monte_carlo.moving_avg_baseline, 5_000, (0.0, 0), estimate),
        )
    )()
    np.testing.assert_allclose(state[0], shifted(LOC), rtol=1e-2)
    assert state[1] == 1
    assert_unbiased(jacobians, EXACT[1][1])
    if estimator is monte_carlo.score_function_jacobians:
        assert 50 * variance(jacobians) < variance(plain)
    else:
        for got, want in zip(jacobians, plain, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-5)


def test_coefficients_are_those_of_least_variance() -> None:
    """Half the function as control variate: the coefficient is 2, less what eps takes."""

    def half(function: Any) -> Any:
        return monte_carlo.control_delta_method(lambda x: 0.5 * function(x))

    for estimator in ESTIMATORS:
        coefficients = jax.jit(
            lambda estimator=estimator: estimate_control_variate_coefficients(
                quadratic, half, estimator, PARAMS, multi_normal, KEY, 100, eps=0.0
            )
        )()
        np.testing.assert_allclose(coefficients, [2.0, 2.0], rtol=1e-4)
