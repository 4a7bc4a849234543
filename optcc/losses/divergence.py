"""Divergences between two distributions, the predicted one given by its logarithms."""

import warnings

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


def kl_divergence_with_log_targets(
    log_predictions: ArrayLike, log_targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """:func:`kl_divergence` with the targets as log-probabilities, too.

    ``sum(exp(log_t) * (log_t - log_p))`` along ``axis``. A target of ``-inf`` adds nothing to the value or to a
    gradient. Arguments and errors are otherwise those of :func:`kl_divergence`.
    """
    log_p, log_t, axes, mask = _arguments("kl_divergence_with_log_targets", log_predictions, log_targets, axis, where)
    impossible = log_t == -jnp.inf
    # Both logarithms are replaced before the product, so that 0 * inf arises in no derivative either.
    log_t, log_p = jnp.where(impossible, 0.0, log_t), jnp.where(impossible, 0.0, log_p)
    terms = jnp.where(impossible, 0.0, jnp.exp(log_t) * (log_t - log_p))
    return jnp.sum(terms, axis=axes, where=mask)


def generalized_kl_divergence(
    log_predictions: ArrayLike, targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Kullback-Leibler divergence for measures that need not sum to one.

    ``sum(t * (log(t) - log_p) + p - t)`` along ``axis``. Each term is jointly convex in ``p`` and ``t``, and not
    negative; for distributions that sum to one the value is that of :func:`kl_divergence`, whose arguments, zero
    targets and errors are the same here.
    """
    return _generalized("generalized_kl_divergence", log_predictions, targets, axis, where)


def convex_kl_divergence(
    log_predictions: ArrayLike, targets: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """The former name of :func:`generalized_kl_divergence`; it warns, as Optax's does."""
    new_name = "convex_kl_divergence is deprecated; use generalized_kl_divergence"
    warnings.warn(new_name, DeprecationWarning, stacklevel=2)
    return _generalized("convex_kl_divergence", log_predictions, targets, axis, where)


def _generalized(
    loss: str, log_predictions: ArrayLike, targets: ArrayLike, axis: Axis, where: ArrayLike | None
) -> jax.Array:
    log_p, t, axes, mask = _arguments(loss, log_predictions, targets, axis, where)
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
