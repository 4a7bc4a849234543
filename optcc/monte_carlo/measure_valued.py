"""The measure-valued estimator of the gradient of a Gaussian expectation.

The derivative of a density is a signed measure: a constant times the difference of two densities. The gradient of the
expectation is then that constant times a difference of two expectations, and the function need not be differentiable.
Reference: Mohamed et al., *Monte Carlo Gradient Estimation in Machine Learning*, 2020, section 6.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from optcc.distributions import multi_normal
from optcc.monte_carlo.estimators import DistributionBuilder, Function, draw, evaluate


def measure_valued_jacobians(
    function: Function,
    params: Sequence[Any],
    dist_builder: DistributionBuilder,
    rng: jax.Array,
    num_samples: int,
    coupling: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """Measure-valued estimate of ``d/dparams E[function(x)]`` for a diagonal Gaussian, one per sample.

    Coordinate ``i`` of a sample ``x`` is replaced, the others stay. With ``s = exp(log_scale)``::

        loc_i         (f(x with loc_i + s_i * w) - f(x with loc_i - s_i * w')) / (s_i * sqrt(2 * pi))
        log_scale_i    f(x with loc_i + s_i * m) - f(x with loc_i + s_i * n)

    where ``w, w'`` are Weibull(sqrt(2), 2), ``m`` is double-sided Maxwell and ``n`` standard normal. Each sample costs
    four evaluations per coordinate; samples of D coordinates take ``num_samples * D * D`` numbers at a time.

    Args:
      function: maps one sample to one number; need not be differentiable.
      params: ``(loc, log_scale)``, of one shape.
      dist_builder: must be ``multi_normal``.
      rng: a JAX random key.
      num_samples: how many samples, at least 1.
      coupling: draw the two sides together (``w' = w``, ``n = uniform * m``), which lowers the variance.

    Returns:
      ``(loc, log_scale)`` jacobians, each ``[num_samples, *loc.shape]``.

    Raises:
      ValueError: another ``dist_builder``, parameters of different shapes, a ``function`` that returns more than one
        number, or ``num_samples`` below 1.
    """
    if dist_builder is not multi_normal:
        raise ValueError(
            f"measure_valued_jacobians: dist_builder must be optcc.multi_normal, got {dist_builder!r}; "
            f"the two measures are known for Gaussians only, use score_function_jacobians for other distributions"
        )
    normal = multi_normal(*params)
    if normal.loc.shape != normal.log_scale.shape:
        raise ValueError(
            f"measure_valued_jacobians: loc has shape {normal.loc.shape}, log_scale {normal.log_scale.shape}; "
            f"broadcast them to one shape first"
        )
    samples = draw(normal, rng, num_samples)
    # The draws below repeat those of Optax 0.1.7 key by key, so that one key gives one result in both.
    plus_rng, minus_rng = jax.random.split(rng)
    root_2 = math.sqrt(2.0)
    weibull = jax.random.weibull_min(plus_rng, root_2, 2.0, samples.shape, samples.dtype)
    maxwell = jax.random.double_sided_maxwell(plus_rng, 0.0, 1.0, samples.shape, samples.dtype)
    if coupling:
        other_weibull = weibull
        gaussian = maxwell * jax.random.uniform(minus_rng, samples.shape, samples.dtype)
    else:
        other_weibull = jax.random.weibull_min(minus_rng, root_2, 2.0, samples.shape, samples.dtype)
        gaussian = jax.random.normal(minus_rng, samples.shape, samples.dtype)

    scale = jnp.exp(normal.log_scale)

    def estimate(
        x: jax.Array, w: jax.Array, other_w: jax.Array, m: jax.Array, n: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def at(step: jax.Array) -> jax.Array:
            return _replace_each(function, x, normal.loc + scale * step)

        # By the scale the constant is 1 / scale, which the chain rule to log_scale takes away again.
        return (at(w) - at(-other_w)) / (scale * math.sqrt(2.0 * math.pi)), at(m) - at(n)

    return jax.vmap(estimate)(samples, weibull, other_weibull, maxwell, gaussian)


def _replace_each(function: Function, sample: jax.Array, new: jax.Array) -> jax.Array:
    """The function at ``sample`` with coordinate ``i`` taken from ``new``, for every ``i``; shaped like ``sample``."""
    flat, flat_new = sample.reshape(-1), new.reshape(-1)
    variants = jnp.where(jnp.eye(flat.size, dtype=bool), flat_new[None], flat[None])
    values = jax.vmap(lambda x: evaluate(function, x.reshape(sample.shape)))(variants)
    return values.reshape(sample.shape)
