"""Changing gradients without changing values."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def scale_gradient(inputs: Any, scale: ArrayLike) -> Any:
    """``inputs``, with every gradient that flows back through them multiplied by ``scale``.

    A scale of 0 stops gradients, infinite and NaN ones too; a negative scale reverses them. Forward mode scales
    tangents alike, and each order of derivative is scaled once more. ``scale`` itself gets a zero gradient.

    Args:
      inputs: a pytree of arrays. Leaves that are not real or complex floating-point pass through as they are.
      scale: one real number; may be traced.

    Returns:
      A pytree like ``inputs``: same values, shapes and dtypes.

    Raises:
      ValueError: ``scale`` is not a scalar.
    """
    if jnp.ndim(scale) != 0:
        raise ValueError(f"scale_gradient: scale must be one number, got shape {jnp.shape(scale)}")
    factor = jnp.asarray(scale)

    def leaf(value: Any) -> Any:
        if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
            return value
        return _scaled(jnp.asarray(value), factor)

    return jax.tree.map(leaf, inputs)


@jax.custom_jvp
def _scaled(value: jax.Array, factor: jax.Array) -> jax.Array:
    del factor
    return value


@_scaled.defjvp
def _scaled_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    value, factor = primals
    tangent = tangents[0]
    # The select makes 0 * inf a 0. Linear in the tangent, so JAX transposes it for reverse mode.
    scaled = tangent * factor.astype(tangent.dtype)
    # The value passes through `_scaled` again: otherwise a second derivative would see a plain identity.
    return _scaled(value, factor), jnp.where(factor == 0, jnp.zeros_like(tangent), scaled)
