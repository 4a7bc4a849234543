"""Gradient estimates with a control variate taken out."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from optcc.monte_carlo.control_variates import ControlVariate
from optcc.monte_carlo.estimators import DistributionBuilder, Function, draw

ControlVariateFromFunction = Callable[[Function], ControlVariate]
GradientEstimator = Callable[..., Sequence[Any]]


def control_variates_jacobians(
    function: Function,
    control_variate_from_function: ControlVariateFromFunction,
    grad_estimator: GradientEstimator,
    params: Sequence[Any],
    dist_builder: DistributionBuilder,
    rng: jax.Array,
    num_samples: int,
    control_variate_state: Any = None,
    estimate_cv_coeffs: bool = False,
    estimate_cv_coeffs_num_samples: int = 20,
) -> tuple[tuple[Any, ...], Any]:
    """Estimate ``d/dparams E[function(x)]`` with the noise of a control variate ``h`` removed, one per sample.

    With ``J`` the chosen estimator and ``c`` the coefficient of each parameter::

        J[function] - c * (J[h] + E[dh/dparams] - d/dparams E[h])

    The bracket has mean zero, so the mean is unchanged; the closer ``h`` is to the function, the smaller the variance.
    ``E[dh/dparams]`` is the mean over the samples. The state of the control variate is updated once, from the samples,
    before anything else uses it.

    Args:
      function: maps one sample to one number.
      control_variate_from_function: such as :func:`control_delta_method` or :func:`moving_avg_baseline`.
      grad_estimator: one of the estimators of this package. A constant control variate, such as a baseline, helps
        the score function estimator only.
      params: arrays, passed to ``dist_builder`` one by one.
      dist_builder: makes the distribution, with ``sample(shape, seed=key)``.
      rng: a JAX random key.
      num_samples: how many samples, at least 1.
      control_variate_state: the state to start from; None where the control variate has none.
      estimate_cv_coeffs: estimate ``c`` from samples of its own, instead of 1.
      estimate_cv_coeffs_num_samples: how many samples for that.

    Returns:
      ``(jacobians, state)``: one array ``[num_samples, *param.shape]`` per parameter, and the updated state.

    Raises:
      ValueError: ``function`` returns more than one number or a number of samples is below 1.
    """
    params = tuple(params)
    value, expectation, update_state = control_variate_from_function(function)
    # The estimators draw from the same key: these are their samples.
    samples = jax.lax.stop_gradient(draw(dist_builder(*params), rng, num_samples))
    state = update_state(params, samples, control_variate_state)
    if estimate_cv_coeffs:
        coefficients = estimate_control_variate_coefficients(
            function,
            control_variate_from_function,
            grad_estimator,
            params,
            dist_builder,
            rng,
            estimate_cv_coeffs_num_samples,
            state,
        )
    else:
        coefficients = [1.0] * len(params)

    def mean_value(params: tuple[Any, ...]) -> jax.Array:
        return jnp.mean(jax.vmap(lambda sample: value(params, sample, state))(samples))

    of_function = grad_estimator(function, params, dist_builder, rng, num_samples)
    of_variate = grad_estimator(lambda x: value(params, x, state), params, dist_builder, rng, num_samples)
    by_params = jax.grad(mean_value)(params)
    of_expectation = jax.grad(lambda p: expectation(p, state))(params)

    jacobians = tuple(
        jax.tree.map(lambda f, h, dh, e, c=c: f - c * (h + (dh - e)[None]), *terms)
        for c, *terms in zip(coefficients, of_function, of_variate, by_params, of_expectation, strict=True)
    )
    return jacobians, state


def estimate_control_variate_coefficients(
    function: Function,
    control_variate_from_function: ControlVariateFromFunction,
    grad_estimator: GradientEstimator,
    params: Sequence[Any],
    dist_builder: DistributionBuilder,
    rng: jax.Array,
    num_samples: int,
    control_variate_state: Any = None,
    eps: float = 1e-3,
) -> list[jax.Array]:
    """The coefficient that minimises the variance for each parameter, estimated from new samples.

    ``sum(cov(J[function], J[h])) / (sum(var(J[h])) + eps)``, sums over the entries of the parameter. The samples come
    from a key split off ``rng``: coefficients fitted to the samples they are used on would bias the gradient. The
    state is not updated. Arguments are those of :func:`control_variates_jacobians`.

    Returns:
      One scalar per parameter, with no gradient.
    """
    params = tuple(params)
    own_rng = jax.random.split(rng)[0]
    value = control_variate_from_function(function)[0]
    of_variate = grad_estimator(
        lambda x: value(params, x, control_variate_state), params, dist_builder, own_rng, num_samples
    )
    of_function = grad_estimator(function, params, dist_builder, own_rng, num_samples)

    def coefficient(h: jax.Array, f: jax.Array) -> jax.Array:
        h, f = h - jnp.mean(h, axis=0, keepdims=True), f - jnp.mean(f, axis=0, keepdims=True)
        covariance, variance = jnp.mean(h * f, axis=0), jnp.mean(h * h, axis=0)
        return jax.lax.stop_gradient(jnp.sum(covariance) / (jnp.sum(variance) + eps))

    return [coefficient(h, f) for h, f in zip(of_variate, of_function, strict=True)]
