"""Norms of the units of a layer, and clipping by them, for single arrays."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.errors import message
from optcc.numerics import abs_sq


def unit_axes(shape: Sequence[int]) -> range | None:
    """The axes that span a unit, by the rank of a leaf; None if there is no convention."""
    rank = len(shape)
    if sum(n != 1 for n in shape) <= 1:
        return range(rank)
    return {2: range(1), 3: range(1), 4: range(3), 5: range(4)}.get(rank)


def unitwise_norm(x: ArrayLike, axis: int | tuple[int, ...] | None = None) -> jax.Array:
    """The norm of each unit of an array, at every element of the unit.

    Args:
      x: array of real or complex numbers.
      axis: the axes that span a unit. None takes the whole array if it has at most one axis longer than 1, axis 0 of
        an array of rank 2 or 3, and all but the last axis of one of rank 4 or 5, a convolution kernel.

    Returns:
      Real array of the shape of ``x``.

    Raises:
      ValueError: an array of rank 6 or more without ``axis``.

    Reference: Brock et al., *High-Performance Large-Scale Image Recognition Without Normalization*, 2021, section 4.1.
    """
    array = jnp.asarray(x)
    axes = unit_axes(array.shape) if axis is None else axis
    if axes is None:
        raise ValueError(
            message(
                f"unitwise_norm: Expected parameter with a rank of at most 5, got the shape {array.shape}",
                fix="give the axes that span a unit as axis=",
            )
        )
    return jnp.broadcast_to(
        jnp.sqrt(jnp.sum(abs_sq(array), axis=tuple(axes) if isinstance(axes, range) else axes, keepdims=True)),
        array.shape,
    )


def unitwise_clip(g_norm: ArrayLike, max_norm: ArrayLike, grad: ArrayLike, div_eps: ArrayLike = 1e-6) -> jax.Array:
    """``grad`` where its unit's norm is below ``max_norm``, elsewhere ``grad * max_norm / max(g_norm, div_eps)``.

    Args:
      g_norm: the norms of the gradient's units, as from `unitwise_norm`.
      max_norm: the largest norms, of the same shape.
      grad: the gradient, of the same shape.
      div_eps: smallest divisor.

    Raises:
      ValueError: the shapes differ.
    """
    norms, limits, g = jnp.asarray(g_norm), jnp.asarray(max_norm), jnp.asarray(grad)
    if not norms.shape == limits.shape == g.shape:
        raise ValueError(
            message(
                f"unitwise_clip: g_norm, max_norm and grad have the shapes {norms.shape}, {limits.shape}, {g.shape}",
                fix="give all three one shape",
            )
        )
    return jnp.where(norms < limits, g, g * (limits / jnp.maximum(norms, div_eps)))
