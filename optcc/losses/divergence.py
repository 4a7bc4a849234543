"""Divergences between two distributions, the predicted one given by its logarithms."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import Axis, as_floating, common_shape, fill_masked, full_mask, reduction_axes


def kl_divergence(
    log_predictions: ArrayLike, targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Kullback-Leibler divergence of the predicted distribution from the target distribution.

    ``sum(t * (log(t) - log_p))`` along ``axis``: the information lost, in nats, by using ``p`` where ``t`` is true.
    A zero target adds nothing to the value or to a gradient, also where its prediction is ``-inf``.

    Args:
      log_predictions: floating-point log-probabilities, shape ``[..., dim]``.
      targets: floating-point probabilities, not negative; broadcast against ``log_predictions``.
      axis: axis or axes of one distribution; None takes the whole array as one.
      where: boolean, broadcasts to the inputs; outcomes where it is False are left out of the sum.

    Returns:
      One divergence per distribution, shape ``[...]``.

    Raises:
      TypeError: an input is not floating-point or ``where`` is not boolean.
      ValueError: the shapes do not broadcast or ``axis`` is out of range.

    Reference: Kullback and Leibler, *On Information and Sufficiency*, 1951.
    """
    log_p, t, axes, mask = _arguments("kl_divergence", log_predictions, targets, axis, where)
    return jnp.sum(_relative_entropy(log_p, t), axis=axes, where=mask)


def convex_kl_divergence(
    log_predictions: ArrayLike, targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Kullback-Leibler divergence for measures that need not sum to one.

    ``sum(t * (log(t) - log_p) + p - t)`` along ``axis``. Each term is jointly convex in ``p`` and ``t``, and not
    negative; for distributions that sum to one the value is that of :func:`kl_divergence`, whose arguments, zero
    targets and errors are the same here.
    """
    log_p, t, axes, mask = _arguments("convex_kl_divergence", log_predictions, targets, axis, where)
    return jnp.sum(_relative_entropy(log_p, t) + (jnp.exp(log_p) - t), axis=axes, where=mask)


def _relative_entropy(log_p: jax.Array, t: jax.Array) -> jax.Array:
    # Both logarithms are replaced before the product, so that 0 * inf arises in no derivative either.
    log_t = jnp.log(jnp.where(t == 0, 1.0, t))
    return t * (log_t - jnp.where(t == 0, 0.0, log_p))


def _arguments(
    loss: str, log_predictions: ArrayLike, targets: ArrayLike, axis: Axis, where: ArrayLike | None
) -> tuple[jax.Array, jax.Array, tuple[int, ...], jax.Array | None]:
    log_p = as_floating(loss, "log_predictions", log_predictions)
    t = as_floating(loss, "targets", targets)
    shape = common_shape(loss, log_predictions=log_p, targets=t)
    mask = full_mask(loss, where, shape)
    log_p = fill_masked(mask, jnp.broadcast_to(log_p, shape), 0.0)
    t = fill_masked(mask, jnp.broadcast_to(t, shape), 0.0)
    return log_p, t, reduction_axes(loss, axis, shape), mask
