"""Distributions of noise: how to sample from them, and the logarithm of their density."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


class Normal:
    """Noise of the standard normal distribution."""

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = (), dtype: DTypeLike = float) -> jax.Array:
        """Independent samples in the given shape and dtype."""
        return jax.random.normal(key, sample_shape, dtype)

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """The logarithm of the density at each element, up to a constant: ``-x**2 / 2``."""
        return -0.5 * inputs**2


class Gumbel:
    """Noise of the standard Gumbel distribution, that of the largest of many samples.

    The class with the largest score plus such noise is distributed as the softmax of the scores says.
    """

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = (), dtype: DTypeLike = float) -> jax.Array:
        """Independent samples in the given shape and dtype."""
        return jax.random.gumbel(key, sample_shape, dtype)

    def log_prob(self, inputs: jax.Array) -> jax.Array:
        """The logarithm of the density at each element: ``-x - exp(-x)``."""
        return -inputs - jnp.exp(-inputs)
