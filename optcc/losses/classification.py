"""Losses on class scores."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import (
    Axis,
    as_floating,
    as_integer,
    as_real,
    common_shape,
    fill_masked,
    full_mask,
    reduction_axes,
)


def hinge_loss(predictor_outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """``max(0, 1 - predictor_outputs * targets)``, elementwise: the loss of a binary support vector machine.

    Args:
      predictor_outputs: real scores of any shape; the sign is the predicted class.
      targets: -1 or 1, broadcasts against ``predictor_outputs``.

    Raises:
      TypeError: an input is not a real array.
      ValueError: the shapes do not broadcast.
    """
    scores = as_real("hinge_loss", "predictor_outputs", predictor_outputs)
    signs = as_real("hinge_loss", "targets", targets)
    common_shape("hinge_loss", predictor_outputs=scores, targets=signs)
    return jnp.maximum(0, 1 - scores * signs)


def sigmoid_binary_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """Cross entropy of independent yes-or-no predictions, elementwise.

    ``-labels * log(sigmoid(logits)) - (1 - labels) * log(sigmoid(-logits))``, finite for every finite logit.

    Args:
      logits: floating-point unnormalised log-odds, any shape: for 0-or-1 labels the score of class 1; for one label
        per class one score per class.
      labels: the probability of yes, in [0, 1]; broadcasts against ``logits`` and is converted to their dtype.

    Returns:
      One cross entropy in nats per prediction, in the dtype of ``logits``.

    Raises:
      TypeError: ``logits`` are not floating-point.
      ValueError: the shapes do not broadcast.

    Reference: Goodfellow, Bengio and Courville, *Deep Learning*, 2016, section 6.2.2.
    """
    loss = "sigmoid_binary_cross_entropy"
    scores = as_floating(loss, "logits", logits)
    yes = as_real(loss, "labels", labels).astype(scores.dtype)
    common_shape(loss, logits=scores, labels=yes)
    # 1 - sigmoid(x) is sigmoid(-x); the subtraction would lose every digit at large logits.
    log_yes, log_no = jax.nn.log_sigmoid(scores), jax.nn.log_sigmoid(-scores)
    return -weighted(yes, log_yes) - weighted(1.0 - yes, log_no)


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Cross entropy between label distributions and the softmax of logits.

    ``-sum(labels * log_softmax(logits))`` along ``axis``. A logit of ``-inf`` rules its class out; where the label of
    that class is 0 it adds nothing.

    Args:
      logits: floating-point unnormalised log-probabilities, shape ``[..., num_classes]``.
      labels: probabilities that sum to one, such as one-hot rows; broadcast against ``logits``.
      axis: axis or axes of the classes; None takes the whole array as one distribution.
      where: boolean, broadcasts to the inputs; classes where it is False take part in nothing. It may lack ``axis``,
        to leave out whole distributions.

    Returns:
      One cross entropy in nats per distribution, shape ``[...]``.

    Raises:
      TypeError: ``logits`` are not floating-point or ``where`` is not boolean.
      ValueError: the shapes do not broadcast or ``axis`` is out of range.

    Reference: Goodfellow, Bengio and Courville, *Deep Learning*, 2016, section 6.2.2.
    """
    loss = "softmax_cross_entropy"
    scores = as_floating(loss, "logits", logits)
    weights = as_real(loss, "labels", labels)
    shape = common_shape(loss, logits=scores, labels=weights)
    axes = reduction_axes(loss, axis, shape)
    mask = full_mask(loss, where, shape, axis)
    # The logits broadcast before the softmax: an axis of length 1 may grow to the number of classes.
    scores = fill_masked(mask, jnp.broadcast_to(scores, shape), -jnp.inf)
    weights = fill_masked(mask, jnp.broadcast_to(weights, shape), 0)
    terms = weighted(weights, jax.nn.log_softmax(scores, axis=axes))
    return -jnp.sum(terms, axis=axes, where=mask)


def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike, labels: ArrayLike, axis: int | tuple[int, ...] = -1, where: ArrayLike | None = None
) -> jax.Array:
    """Cross entropy between class indices and the softmax of logits.

    ``logsumexp(logits) - logits[label]`` along ``axis``: :func:`softmax_cross_entropy` of one-hot labels, without
    making them.

    Args:
      logits: floating-point unnormalised log-probabilities, shape ``[..., num_classes]``.
      labels: integer class indices, shape ``[...]``: that of ``logits`` less ``axis``, or 1 along some axes. A
        negative index counts from the end; an index out of range gives NaN.
      axis: axis of the classes. Several axes are read as one, in the order given, the last one running fastest.
      where: boolean, broadcasts to ``logits``; classes where it is False are left out of the normaliser. With no
        class left the loss is 0. It may lack ``axis``, to leave out whole distributions.

    Returns:
      One cross entropy in nats per label, shape ``[...]``.

    Raises:
      TypeError: ``logits`` are not floating-point, ``labels`` not integers, or ``where`` not boolean.
      ValueError: the shapes do not fit or ``axis`` is out of range.

    Reference: Goodfellow, Bengio and Courville, *Deep Learning*, 2016, section 6.2.2.
    """
    loss = "softmax_cross_entropy_with_integer_labels"
    scores = as_floating(loss, "logits", logits)
    indices = as_integer(loss, "labels", labels)
    if axis is None:
        raise ValueError(f"{loss}: axis must be an integer or a tuple of integers, got None")
    axes = reduction_axes(loss, axis, scores.shape)
    mask = full_mask(loss, where, scores.shape, axis)
    batch = tuple(size for a, size in enumerate(scores.shape) if a not in axes)
    if indices.ndim != len(batch) or any(n not in (1, m) for n, m in zip(indices.shape, batch, strict=True)):
        raise ValueError(
            f"{loss}: labels have shape {indices.shape}, logits {scores.shape} with the classes along axis {axis}; "
            f"give one label per distribution, shape {batch}"
        )
    scores = _classes_last(scores, axes)
    allowed = None if mask is None else _classes_last(mask, axes)
    indices = jnp.broadcast_to(indices, batch)[..., None]
    chosen = jnp.take_along_axis(scores, indices, axis=-1)[..., 0]
    losses = jax.nn.logsumexp(fill_masked(allowed, scores, -jnp.inf), axis=-1) - chosen
    return losses if allowed is None else jnp.where(allowed.any(axis=-1), losses, 0.0)


def smooth_labels(labels: ArrayLike, alpha: ArrayLike, *, axis: Axis = -1, where: ArrayLike | None = None) -> jax.Array:
    """Mix labels with the uniform distribution: ``(1 - alpha) * labels + alpha / num_classes``.

    Args:
      labels: floating-point probabilities, such as one-hot rows, shape ``[..., num_classes]``.
      alpha: weight of the uniform distribution; 0 leaves the labels as they are, 1 forgets them.
      axis: axis or axes of the classes; None takes the whole array as one distribution.
      where: boolean, broadcasts to ``labels``; only classes where it is True are counted in ``num_classes``. All
        entries are smoothed, so pass the same ``where`` to the loss.

    Returns:
      Smoothed labels in the shape of ``labels``.

    Raises:
      TypeError: ``labels`` are not floating-point or ``where`` is not boolean.
      ValueError: ``axis`` is out of range or ``where`` does not broadcast to ``labels``.

    Reference: Mueller, Kornblith and Hinton, *When Does Label Smoothing Help?*, 2019.
    """
    given = as_floating("smooth_labels", "labels", labels)
    axes = reduction_axes("smooth_labels", axis, given.shape)
    mask = full_mask("smooth_labels", where, given.shape)
    if mask is None:
        num_classes = max(1, math.prod(given.shape[a] for a in axes))
    else:
        # At least one, so that a row without classes stays finite.
        num_classes = jnp.maximum(1, mask.sum(axis=axes, keepdims=True)).astype(given.dtype)
    uniform = jnp.asarray(alpha)
    return (1.0 - uniform) * given + uniform / num_classes


def weighted(weights: jax.Array, log_probabilities: jax.Array) -> jax.Array:
    """``weights * log_probabilities``, with 0 for an impossible outcome of weight 0, where the product is NaN."""
    impossible = (weights == 0) & (log_probabilities == -jnp.inf)
    return weights * jnp.where(impossible, 0.0, log_probabilities)


def _classes_last(array: jax.Array, axes: tuple[int, ...]) -> jax.Array:
    """Move ``axes`` to the end, in the order given, and lay them out as one axis."""
    batch = [a for a in range(array.ndim) if a not in axes]
    moved = jnp.transpose(array, (*batch, *axes))
    return moved.reshape(*moved.shape[: len(batch)], math.prod(moved.shape[len(batch) :]))
