"""Variants of the cross entropy: focused, with a polynomial term, over ranked lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import Axis, as_floating, as_real, common_shape, fill_masked, full_mask, reduction_axes
from optcc.losses.classification import sigmoid_binary_cross_entropy, softmax_cross_entropy, weighted


def safe_softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """Cross entropy along the last axis, finite where a logit is ``-inf`` and its label 0.

    It is `softmax_cross_entropy`, which is safe by itself, under the name that Optax has for that.

    Args:
      logits: floating-point unnormalised log-probabilities, shape ``[..., num_classes]``.
      labels: probabilities that sum to one; broadcast against ``logits``.

    Returns:
      One cross entropy in nats per distribution, shape ``[...]``.

    Raises:
      TypeError: ``logits`` are not floating-point.
      ValueError: the shapes do not broadcast.
    """
    return softmax_cross_entropy(logits, labels)


def sigmoid_focal_loss(
    logits: ArrayLike, labels: ArrayLike, *, alpha: ArrayLike | None = None, gamma: ArrayLike = 2.0
) -> jax.Array:
    """Binary cross entropy that counts well-predicted elements less, elementwise.

    With ``p`` the probability given to the label (of yes for 1, of no for 0), it is ``-(1 - p)**gamma * log(p)``. With
    ``alpha`` it is multiplied by ``alpha`` for the label 1, by ``1 - alpha`` for the label 0. Labels between 0 and 1
    mix both.

    Args:
      logits: floating-point log-odds, of any shape.
      labels: in [0, 1]; broadcast against ``logits`` and are converted to their dtype.
      alpha: weight of the label 1, in [0, 1]; None weighs both alike, by 1.
      gamma: at least 0; 0 is the cross entropy.

    Returns:
      One loss per prediction, in the dtype of ``logits``.

    Raises:
      TypeError: ``logits`` are not floating-point.
      ValueError: the shapes do not broadcast.

    Reference: Lin et al., *Focal Loss for Dense Object Detection*, 2017, equation 5.
    """
    scores = as_floating("sigmoid_focal_loss", "logits", logits)
    yes = as_real("sigmoid_focal_loss", "labels", labels).astype(scores.dtype)
    common_shape("sigmoid_focal_loss", logits=scores, labels=yes)
    scores, yes = jnp.broadcast_arrays(scores, yes)
    # log(1 - p). In this form its gradient is finite, however good the prediction.
    log_probabilities = jnp.stack([jax.nn.log_sigmoid(scores), jax.nn.log_sigmoid(-scores)])
    log_wrong = jax.nn.logsumexp(log_probabilities, axis=0, b=jnp.stack([1 - yes, yes]))
    loss = jnp.exp(gamma * log_wrong) * sigmoid_binary_cross_entropy(scores, yes)
    if alpha is None:
        return loss
    weight = jnp.asarray(alpha)
    return (weight * yes + (1 - weight) * (1 - yes)) * loss


def poly_loss_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: ArrayLike = 2.0,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> jax.Array:
    """Cross entropy, with its first term as a series in ``1 - p`` weighed anew: ``... + epsilon * (1 - p)``.

    Args:
      logits: floating-point unnormalised log-probabilities, shape ``[..., num_classes]``.
      labels: floating-point probabilities that sum to one; broadcast against ``logits``. ``p`` is their mean
        probability under the softmax of the logits.
      epsilon: weight of ``1 - p``; 0 is the cross entropy. The source uses values from -1 to 6.
      axis: axis or axes of the classes; None takes the whole array as one distribution.
      where: boolean, broadcasts to the inputs; classes where it is False take part in nothing.

    Returns:
      One loss per distribution, shape ``[...]``.

    Raises:
      TypeError: an input is not floating-point or ``where`` is not boolean.
      ValueError: the shapes do not broadcast or ``axis`` is out of range.

    Reference: Leng et al., *PolyLoss*, 2022, equation 6.
    """
    loss = "poly_loss_cross_entropy"
    scores, weights = as_floating(loss, "logits", logits), as_floating(loss, "labels", labels)
    shape = common_shape(loss, logits=scores, labels=weights)
    axes = reduction_axes(loss, axis, shape)
    mask = full_mask(loss, where, shape)
    filled = fill_masked(mask, jnp.broadcast_to(scores, shape), -jnp.inf)
    weights = fill_masked(mask, jnp.broadcast_to(weights, shape), 0)
    wrong = weights * (1 - jax.nn.softmax(filled, axis=axes))
    return softmax_cross_entropy(scores, weights, axis, where) + epsilon * jnp.sum(wrong, axis=axes)


def ranking_softmax_loss(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    where: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    reduce_fn: Callable[..., Any] | None = jnp.mean,
) -> jax.Array:
    """Cross entropy between the relevance of the items of a list and the softmax of their scores.

    ``-sum(weights * labels * log_softmax(logits))`` along the last axis. The labels need not sum to one.

    Args:
      logits: floating-point scores, shape ``[..., list_size]``.
      labels: relevance, not negative, of the same shape.
      where: boolean, of the same shape; items where it is False take part in nothing.
      weights: factor of each label, of the same shape; None is 1.
      reduce_fn: function of the losses of the lists and of ``where=``, which lists have an item; such as `jnp.mean` or
        `jnp.sum`. None returns one loss per list.

    Returns:
      What ``reduce_fn`` does, or losses of the shape ``[...]``. A list without items has the loss 0, and so has a mean
      over no list.

    Raises:
      TypeError: ``logits`` are not floating-point or ``where`` is not boolean.
      ValueError: the shapes do not broadcast.

    Reference: Cao et al., *Learning to Rank: From Pairwise Approach to Listwise Approach*, 2007, section 4.
    """
    loss = "ranking_softmax_loss"
    scores = as_floating(loss, "logits", logits)
    relevance = as_real(loss, "labels", labels).astype(scores.dtype)
    shape = common_shape(loss, logits=scores, labels=relevance)
    mask = full_mask(loss, where, shape)
    relevance = fill_masked(mask, jnp.broadcast_to(relevance, shape), 0)
    if weights is not None:
        relevance = relevance * fill_masked(mask, jnp.broadcast_to(as_real(loss, "weights", weights), shape), 0)
    has_items = None if mask is None else mask.any(axis=-1)
    fill = -jnp.inf
    if has_items is not None:
        # The softmax of a list without items would be NaN, and so the gradients: such a list gets zeros.
        fill = jnp.where(has_items, -jnp.inf, 0.0)[..., None].astype(scores.dtype)
    scores = scores if mask is None else jnp.where(mask, scores, fill)
    losses = -jnp.sum(weighted(relevance, jax.nn.log_softmax(scores, axis=-1)), axis=-1)
    if reduce_fn is None or has_items is None:
        return losses if reduce_fn is None else reduce_fn(losses)
    if reduce_fn is jnp.mean:
        return jnp.sum(losses) / jnp.maximum(1, jnp.sum(has_items)).astype(losses.dtype)
    return reduce_fn(losses, where=has_items)
