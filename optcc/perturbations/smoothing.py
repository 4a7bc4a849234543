"""Expectations over noise on the input, with derivatives that need none of the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from optcc.perturbations.noise import Gumbel
from optcc.tree_utils.random import tree_random_like
from optcc.tree_utils.reductions import tree_sum


class Noise(Protocol):
    """A distribution of noise."""

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = (), dtype: DTypeLike = float) -> jax.Array: ...

    def log_prob(self, inputs: jax.Array) -> jax.Array: ...


_GUMBEL = Gumbel()


def make_perturbed_fun(
    fun: Callable[[Any], Any],
    num_samples: int = 1000,
    sigma: ArrayLike = 0.1,
    noise: Noise = _GUMBEL,
    use_baseline: bool = True,
) -> Callable[[jax.Array, Any], Any]:
    """The mean of a function over noise on its input, which is smooth even if the function is a choice.

    The value is the mean of ``fun(x + sigma * z)`` over samples ``z``. Its derivative is that of the expectation by the
    density of the noise: the mean of ``fun(x + sigma * z)`` times the derivative of ``log p(z)``, at fixed
    ``x + sigma * z``. So ``fun`` itself is not differentiated. Derivatives of any order exist.

    Args:
      fun: function from a pytree of arrays to a pytree of arrays.
      num_samples: number of samples; the error falls with its root.
      sigma: scale of the noise, positive; a small one smooths less and makes derivatives noisier.
      noise: distribution with ``sample`` and ``log_prob``.
      use_baseline: subtract ``fun(x)`` from the function inside the derivative, which lowers its variance and changes
        nothing in the mean.

    Returns:
      Function of a random key and the input.

    References: Berthet et al., *Learning with Differentiable Perturbed Optimizers*, 2020; Foerster et al., *DiCE*,
    2018, for derivatives of any order.
    """

    def perturbed(key: jax.Array, x: Any) -> Any:
        baseline = fun(jax.lax.stop_gradient(x)) if use_baseline else None

        def sample(key: jax.Array) -> Any:
            z = tree_random_like(key, x, sampler=noise.sample)
            point = jax.lax.stop_gradient(jax.tree.map(lambda x, z: x + sigma * z, x, z))
            standard = jax.tree.map(lambda x, y: (y - x) / sigma, x, point)
            log_density = jnp.asarray(tree_sum(jax.tree.map(noise.log_prob, standard)))
            # One, whose derivative is that of the logarithm.
            weight = jnp.exp(log_density - jax.lax.stop_gradient(log_density))
            weighted = jax.tree.map(lambda f: weight * f, fun(point))
            if baseline is None:
                return weighted
            return jax.tree.map(lambda f, b: f + (1 - weight) * b, weighted, baseline)

        samples = jax.vmap(sample)(jax.random.split(key, num_samples))
        return jax.tree.map(lambda f: jnp.mean(f, axis=0), samples)

    return perturbed
