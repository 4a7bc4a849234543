"""Estimators of the gradient of an expectation for any distribution: score function and pathwise.

All estimators take the function, the parameters, a builder of the distribution, a key and a number of samples, and
return the estimate of every sample: the mean over the first axis is the gradient, the spread tells its quality.

The function must not depend on the parameters except through the sample. Reference for all of them: Mohamed, Rosca,
Figurnov and Mnih, *Monte Carlo Gradient Estimation in Machine Learning*, 2020.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.distributions import Distribution

Function = Callable[[jax.Array], ArrayLike]
DistributionBuilder = Callable[..., Distribution]


def score_function_jacobians(
    function: Function,
    params: Sequence[Any],
    dist_builder: DistributionBuilder,
    rng: jax.Array,
    num_samples: int,
) -> tuple[Any, ...]:
    """Score function (REINFORCE) estimate of ``d/dparams E[function(x)]``, one per sample.

    Sample ``x ~ p(.; params)`` contributes ``function(x) * grad_params(log p(x; params))``. The function need not be
    differentiable and the distribution may be discrete; the variance is the largest of the estimators here.

    Args:
      function: maps one sample to one number.
      params: the parameters, passed to ``dist_builder`` one by one.
      dist_builder: makes a distribution with ``sample(shape, seed=key)`` and ``log_prob(x)``; ``log_prob`` must be
        differentiable in the parameters.
      rng: a JAX random key.
      num_samples: how many samples, at least 1.

    Returns:
      One array ``[num_samples, *param.shape]`` per parameter.

    Raises:
      ValueError: ``function`` returns more than one number or ``num_samples`` is below 1.
    """
    params = tuple(params)
    samples = jax.lax.stop_gradient(draw(dist_builder(*params), rng, num_samples))

    def estimate(sample: jax.Array) -> tuple[Any, ...]:
        score = jax.grad(lambda p: dist_builder(*p).log_prob(sample))(params)
        value = evaluate(function, sample)
        return jax.tree.map(lambda s: (value * s).astype(s.dtype), score)

    return jax.vmap(estimate)(samples)


def pathwise_jacobians(
    function: Function,
    params: Sequence[Any],
    dist_builder: DistributionBuilder,
    rng: jax.Array,
    num_samples: int,
) -> tuple[Any, ...]:
    """Pathwise (reparametrisation) estimate of ``d/dparams E[function(x)]``, one per sample.

    Sample ``x = g(noise; params)`` contributes ``grad_params(function(g(noise; params)))``, so the function must be
    differentiable and ``sample`` must be differentiable in the parameters, which leaves out discrete distributions.

    Args:
      function: maps one sample to one number, differentiable.
      params: the parameters, passed to ``dist_builder`` one by one.
      dist_builder: makes a distribution with ``sample(shape, seed=key)``.
      rng: a JAX random key.
      num_samples: how many samples, at least 1.

    Returns:
      One array ``[num_samples, *param.shape]`` per parameter.

    Raises:
      ValueError: ``function`` returns more than one number or ``num_samples`` is below 1.
    """

    def values(params: tuple[Any, ...]) -> jax.Array:
        samples = draw(dist_builder(*params), rng, num_samples)
        return jax.vmap(lambda sample: evaluate(function, sample))(samples)

    return jax.jacfwd(values)(tuple(params))


def draw(distribution: Distribution, rng: jax.Array, num_samples: int) -> jax.Array:
    """``num_samples`` samples along a new first axis."""
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}; the estimate is a mean over samples")
    return distribution.sample((num_samples,), seed=rng)


def evaluate(function: Function, sample: jax.Array) -> jax.Array:
    """``function(sample)``, checked to be one number."""
    value = jnp.asarray(function(sample))
    if value.ndim != 0:
        raise ValueError(
            f"function must return one number per sample, got shape {value.shape} for a sample of shape "
            f"{sample.shape}; reduce it, for instance with jnp.sum"
        )
    return value
