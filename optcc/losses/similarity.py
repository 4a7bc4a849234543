"""Losses on the angle between two vectors."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import Axis, as_floating, common_shape, fill_masked, full_mask, reduction_axes


def cosine_similarity(
    predictions: ArrayLike,
    targets: ArrayLike,
    epsilon: ArrayLike = 0.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Cosine of the angle between predictions and targets, in [-1, 1].

    With ``p`` and ``t`` the vectors along ``axis``::

        sum(p * t) / (sqrt(max(sum(p**2), epsilon)) * sqrt(max(sum(t**2), epsilon)))

    Args:
      predictions: floating-point, shape ``[..., dim]``.
      targets: floating-point, broadcasts against ``predictions``.
      epsilon: least squared norm. With the default 0 a zero vector gives NaN, as the angle has no value there.
      axis: axis or axes that hold the components of one vector; None takes the whole array as one.
      where: boolean, broadcasts to the inputs; components where it is False count for nothing.

    Returns:
      One similarity per vector, shape ``[...]``.

    Raises:
      TypeError: an input is not floating-point or ``where`` is not boolean.
      ValueError: the shapes do not broadcast or ``axis`` is out of range.

    Reference: https://en.wikipedia.org/wiki/Cosine_similarity
    """
    loss = "cosine_similarity"
    predicted = as_floating(loss, "predictions", predictions)
    expected = as_floating(loss, "targets", targets)
    shape = common_shape(loss, predictions=predicted, targets=expected)
    axes = reduction_axes(loss, axis, shape)
    mask = full_mask(loss, where, shape)

    def unit(vector: jax.Array) -> jax.Array:
        vector = fill_masked(mask, jnp.broadcast_to(vector, shape), 0.0)
        squared_norm = jnp.sum(vector * vector, axis=axes, keepdims=True)
        return vector / jnp.sqrt(jnp.maximum(squared_norm, epsilon))

    # A vector with all its components masked is 0 / 0: this `where` makes its similarity 0.
    return jnp.sum(unit(predicted) * unit(expected), axis=axes, where=mask)


def cosine_distance(
    predictions: ArrayLike,
    targets: ArrayLike,
    epsilon: ArrayLike = 0.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """``1 - cosine_similarity(...)``, in [0, 2]; same arguments, shapes and errors as :func:`cosine_similarity`."""
    return 1.0 - cosine_similarity(predictions, targets, epsilon, axis, where)
