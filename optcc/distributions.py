"""The Gaussian that the Monte Carlo gradient estimators sample from, and what they ask of any distribution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


class Distribution(Protocol):
    """A distribution whose samples have the shape of one event."""

    def sample(self, shape: Sequence[int], /, *, seed: jax.Array) -> jax.Array:
        """Independent samples, ``[*shape, *event]``."""
        ...

    def log_prob(self, x: jax.Array, /) -> jax.Array:
        """Logarithm of the density at events ``[*batch, *event]``, shape ``[*batch]``."""
        ...


@dataclass(frozen=True, eq=False)
class MultiNormal:
    """Independent Gaussians with means ``loc`` and standard deviations ``exp(log_scale)``, taken as one event."""

    loc: jax.Array
    log_scale: jax.Array

    @property
    def params(self) -> list[jax.Array]:
        """``[loc, log_scale]``."""
        return [self.loc, self.log_scale]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return jnp.broadcast_shapes(self.loc.shape, self.log_scale.shape)

    def sample(self, shape: Sequence[int], key: jax.Array | None = None, *, seed: jax.Array | None = None) -> jax.Array:
        """Independent samples ``loc + exp(log_scale) * noise``, differentiable in ``loc`` and ``log_scale``.

        Args:
          shape: how many samples, as a shape.
          key: a JAX random key, typed or ``uint32[2]``.
          seed: another name for ``key``, as in TensorFlow Probability; give exactly one of them.

        Returns:
          An array of shape ``[*shape, *event_shape]``; float32 also for narrower parameters.

        Raises:
          TypeError: both or neither of ``key`` and ``seed`` are given.
        """
        if key is None:
            key, seed = seed, None
        if key is None or seed is not None:
            raise TypeError("multi_normal: sample needs one random key, as key= or as seed=; got both or neither")
        noise = jax.random.normal(key, (*shape, *self.event_shape))
        # The noise has the widest floating-point dtype in use; cast and broadcast so that strict promotion is content.
        loc, log_scale = (jnp.broadcast_to(p.astype(noise.dtype), noise.shape) for p in self.params)
        return noise * jnp.exp(log_scale) + loc

    def log_prob(self, x: ArrayLike) -> jax.Array:
        """Logarithm of the density at ``x``, shape ``[*batch, *event_shape]``; one number per batch entry.

        ``sum(-z**2 / 2 - log_scale - log(2 * pi) / 2)`` over the event, with ``z = (x - loc) / exp(log_scale)``.
        """
        x, loc, log_scale = jnp.broadcast_arrays(x, *self.params)
        z = (x - loc) * jnp.exp(-log_scale)
        terms = -0.5 * (z * z) - log_scale - 0.5 * math.log(2.0 * math.pi)
        return jnp.sum(terms, axis=tuple(range(-len(self.event_shape), 0)))


def multi_normal(loc: ArrayLike, log_scale: ArrayLike) -> MultiNormal:
    """Multivariate Gaussian with a diagonal covariance, from its mean and the logarithm of its standard deviation.

    The logarithm needs no constraint: every real ``log_scale`` is a valid distribution, so both parameters can be
    trained as they are.

    Args:
      loc: means, any shape.
      log_scale: natural logarithms of the standard deviations; broadcasts against ``loc``.

    Returns:
      A :class:`MultiNormal` with ``sample``, ``log_prob``, ``log_scale`` and ``params``.

    Raises:
      ValueError: the shapes do not broadcast.
    """
    mean, log_std = jnp.asarray(loc), jnp.asarray(log_scale)
    try:
        jnp.broadcast_shapes(mean.shape, log_std.shape)
    except ValueError:
        raise ValueError(
            "multi_normal: Incompatible shapes for broadcasting: "
            f"loc has shape {mean.shape}, log_scale {log_std.shape}; give shapes that broadcast"
        ) from None
    return MultiNormal(mean, log_std)
