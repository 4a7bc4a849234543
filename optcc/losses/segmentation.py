"""Losses on the overlap of predicted and true regions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from optcc.losses.arguments import as_real


def dice_loss(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    class_weights: ArrayLike | None = None,
    smooth: ArrayLike = 1.0,
    alpha: ArrayLike = 0.5,
    beta: ArrayLike = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: int | tuple[int, ...] | None = None,
) -> jax.Array:
    """One less the overlap of each class, by the index of Tversky; with the default weights that of Dice.

    With ``p`` the predicted and ``t`` the true share of a class in each place, and sums over all places::

        both = sum(p * t)
        1 - (both + smooth) / (both + alpha * (sum(p) - both) + beta * (sum(t) - both) + smooth)

    Args:
      predictions: real, shape ``[batch, ..., classes]``: logits, or probabilities without ``apply_softmax``.
      targets: real, of the same shape, such as one-hot masks. Either may lack the last axis: it is one class then.
      class_weights: shape ``(classes,)``, factors of the losses of the classes; None is 1.
      smooth: added to both sides of the fraction; positive, so that an absent class has a loss.
      alpha: weight of what was predicted wrongly.
      beta: weight of what was missed.
      apply_softmax: turn logits into probabilities, by a softmax over classes, or a sigmoid if there is one.
      reduction: ``"mean"`` or ``"sum"`` over classes, or ``"none"``.
      ignore_background: leave class 0 out, if there are others.
      axis: axes of the places; None is all between the first and the last.

    Returns:
      One loss per example, shape ``[batch]``; with ``reduction="none"`` one per class, too, ``[batch, classes]``.

    Raises:
      ValueError: the shapes differ; class weights are not one number a class; the reduction is unknown; or, where the
        values are known, probabilities do not sum to one.

    Reference: Salehi et al., *Tversky loss function for image segmentation using 3D fully convolutional deep networks*,
    2017, equation 2; Milletari et al., *V-Net*, 2016.
    """
    given, true = _pair("dice_loss", predictions, targets)
    if apply_softmax:
        given = jax.nn.sigmoid(given) if given.shape[-1] == 1 else jax.nn.softmax(given, axis=-1)
    else:
        _check_distributions(given)
    losses = 1.0 - _overlap(given, true, smooth, alpha, beta, axis)
    if class_weights is not None:
        weights = as_real("dice_loss", "class_weights", class_weights)
        if weights.ndim != 1:
            raise ValueError(f"dice_loss: class_weights must have shape (classes,), got {weights.shape}")
        losses = losses * weights
    if ignore_background and given.shape[-1] > 1:
        losses = losses[..., 1:]
    return _reduce(losses, reduction)


def binary_dice_loss(
    predictions: ArrayLike, targets: ArrayLike, *, smooth: ArrayLike = 1.0, apply_sigmoid: bool = True
) -> jax.Array:
    """`dice_loss` of one class, the foreground.

    Args:
      predictions: real, shape ``[batch, ...]``: logits, or probabilities without ``apply_sigmoid``. A last axis of
        length 1 is that of the class.
      targets: real, of the same shape, 1 in the foreground and 0 elsewhere.
      smooth: added to both sides of the fraction.
      apply_sigmoid: turn logits into probabilities.

    Returns:
      One loss per example, shape ``[batch]``.

    Raises:
      ValueError: the shapes differ.
    """
    given = as_real("binary_dice_loss", "predictions", predictions)
    true = as_real("binary_dice_loss", "targets", targets)
    if given.ndim == true.ndim and given.shape[-1:] != (1,):
        given, true = given[..., None], true[..., None]
    given, true = _pair("binary_dice_loss", given, true)
    probabilities = jax.nn.sigmoid(given) if apply_sigmoid else given
    return jnp.mean(1.0 - _overlap(probabilities, true, smooth, 0.5, 0.5, None), axis=-1)


def multiclass_generalized_dice_loss(
    predictions: ArrayLike,
    targets: ArrayLike,
    *,
    smooth: ArrayLike = 1.0,
    apply_softmax: bool = True,
    ignore_background: bool = False,
) -> jax.Array:
    """`dice_loss` whose classes weigh the more, the rarer they are in the batch.

    The weight of a class is the inverse square of its sum in the targets; the weights are scaled to a mean of 1.

    Args:
      predictions: real, shape ``[batch, ..., classes]``: logits, or probabilities without ``apply_softmax``.
      targets: real, of the same shape, such as one-hot masks.
      smooth: added to both sides of the fraction.
      apply_softmax: turn logits into probabilities.
      ignore_background: leave class 0 out of the mean, not out of the weights.

    Returns:
      The mean over examples and classes, a 0-d array.

    Raises:
      ValueError: the shapes differ, or probabilities do not sum to one.

    Reference: Sudre et al., *Generalised Dice overlap as a deep learning loss function for highly unbalanced
    segmentations*, 2017, for the weights.
    """
    given = as_real("multiclass_generalized_dice_loss", "predictions", predictions)
    true = as_real("multiclass_generalized_dice_loss", "targets", targets)
    if given.shape != true.shape:
        raise ValueError(_shapes_differ("multiclass_generalized_dice_loss", given, true))
    sums = jnp.sum(true, axis=tuple(range(true.ndim - 1)))
    rarity = 1.0 / (sums**2 + 1e-7)  # the weight of a class that is not there at all is finite
    losses = dice_loss(
        given,
        true,
        class_weights=rarity / jnp.mean(rarity),
        smooth=smooth,
        apply_softmax=apply_softmax,
        reduction="none",
        ignore_background=ignore_background,
    )
    return jnp.mean(losses)


def _pair(loss: str, predictions: ArrayLike, targets: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """Both as arrays of one shape, the last axis that of the classes."""
    given, true = as_real(loss, "predictions", predictions), as_real(loss, "targets", targets)
    if given.ndim == true.ndim - 1:
        given = given[..., None]
    elif true.ndim == given.ndim - 1:
        true = true[..., None]
    if given.shape != true.shape:
        raise ValueError(_shapes_differ(loss, given, true))
    return given, true


def _shapes_differ(loss: str, given: jax.Array, true: jax.Array) -> str:
    return f"{loss}: predictions have shape {given.shape}, targets {true.shape}; give one target per prediction"


def _overlap(
    given: jax.Array,
    true: jax.Array,
    smooth: ArrayLike,
    alpha: ArrayLike,
    beta: ArrayLike,
    axis: int | tuple[int, ...] | None,
) -> jax.Array:
    """The index of Tversky of each example and class."""
    axes: Any = tuple(range(1, given.ndim - 1)) if axis is None else axis
    both = jnp.sum(given * true, axis=axes)
    wrong = jnp.sum(given, axis=axes) - both
    missed = jnp.sum(true, axis=axes) - both
    return (both + smooth) / (both + alpha * wrong + beta * missed + smooth)


def _check_distributions(given: jax.Array) -> None:
    """Refuse what does not sum to one, unless the values are not known yet."""
    sums = jnp.sum(given, axis=-1)
    if isinstance(sums, Tracer) or sums.size == 0:
        return
    limit = max(1e-5, 8 * float(jnp.finfo(sums.dtype).eps)) if jnp.issubdtype(sums.dtype, jnp.floating) else 0
    low, high = float(jnp.min(sums)), float(jnp.max(sums))
    if not (low >= 1 - limit and high <= 1 + limit):
        raise ValueError(
            "dice_loss: without apply_softmax predictions must be valid probability distributions over the last axis; "
            f"their sums go from {low:.6f} to {high:.6f}"
        )


def _reduce(losses: jax.Array, reduction: str) -> jax.Array:
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"dice_loss: Unsupported reduction: {reduction}; use 'mean', 'sum' or 'none'")
    return jnp.mean(losses, axis=-1) if reduction == "mean" else jnp.sum(losses, axis=-1)
