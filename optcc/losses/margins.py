"""Losses on scores without probabilities: perceptrons, margins between classes, sparse classifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import as_integer, as_real, common_shape
from optcc.projections.simplex import project_to_simplex


def perceptron_loss(predictor_outputs: ArrayLike, targets: ArrayLike) -> jax.Array:
    """``max(0, -predictor_outputs * targets)``, elementwise: nothing for a right sign, the score for a wrong one.

    Args:
      predictor_outputs: real scores of any shape; the sign is the predicted class.
      targets: -1 or 1, of the same shape.

    Raises:
      TypeError: an input is not a real array.
      ValueError: the shapes differ.

    Reference: Rosenblatt, *The Perceptron: A Probabilistic Model for Information Storage*, 1958.
    """
    scores = as_real("perceptron_loss", "predictor_outputs", predictor_outputs)
    signs = as_real("perceptron_loss", "targets", targets)
    if scores.shape != signs.shape:
        raise ValueError(
            f"perceptron_loss: predictor_outputs have shape {scores.shape}, targets {signs.shape}; reshape one of them"
        )
    return jnp.maximum(0, -scores * signs)


def sparsemax_loss(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """The binary loss whose predicted probabilities reach 0 and 1, elementwise.

    With ``x = -logits`` where the label is 1 and ``x = logits`` where it is 0::

        0               where x <= -1
        (x + 1)**2 / 4  where |x| < 1
        x               where x >= 1

    Args:
      logits: real scores of class 1, of any shape.
      labels: 0 or 1, or booleans; broadcast against ``logits``.

    Raises:
      TypeError: an input is not a real array.
      ValueError: the shapes do not broadcast.

    Reference: Blondel, Martins and Niculae, *Learning with Fenchel-Young Losses*, 2020, section 3.5 (its scores are
    half of ours).
    """
    scores = as_real("sparsemax_loss", "logits", logits)
    yes = as_real("sparsemax_loss", "labels", labels)
    common_shape("sparsemax_loss", logits=scores, labels=yes)
    return jax.nn.sparse_plus(jnp.where(yes != 0, -scores, scores))


def multiclass_hinge_loss(scores: ArrayLike, labels: ArrayLike) -> jax.Array:
    """``max over k of (scores[k] + [k != label]) - scores[label]``: every other class should be lower by 1.

    Args:
      scores: real, shape ``[..., num_classes]``.
      labels: integer class indices, shape ``[...]``.

    Returns:
      One loss per label, shape ``[...]``, in the dtype of ``scores``.

    Raises:
      TypeError: ``scores`` are not real or ``labels`` not integers.
      ValueError: the shapes do not fit.

    Reference: Crammer and Singer, *On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines*, 2001.
    """
    given, indices = _multiclass("multiclass_hinge_loss", scores, labels)
    return jnp.max(given + (1 - _one_hot(indices, given)), axis=-1) - _chosen(given, indices)


def multiclass_perceptron_loss(scores: ArrayLike, labels: ArrayLike) -> jax.Array:
    """``max over k of scores[k] - scores[label]``: 0 if the label has the highest score.

    Arguments, shapes and errors are those of :func:`multiclass_hinge_loss`.

    Reference: Collins, *Discriminative Training Methods for Hidden Markov Models*, 2002, for one label.
    """
    given, indices = _multiclass("multiclass_perceptron_loss", scores, labels)
    return jnp.max(given, axis=-1) - _chosen(given, indices)


def multiclass_sparsemax_loss(scores: ArrayLike, labels: ArrayLike) -> jax.Array:
    """The loss of the projection of scores onto the simplex, which gives most classes the probability 0.

    With ``p`` the point of the simplex that is closest to the scores ``s``, and ``e`` the one-hot label, it is
    ``(|e - s|**2 - |p - s|**2) / 2``; the gradient by the scores is ``p - e``.

    Arguments, shapes and errors are those of :func:`multiclass_hinge_loss`.

    Reference: Martins and Astudillo, *From Softmax to Sparsemax*, 2016, section 3.2.
    """
    given, indices = _multiclass("multiclass_sparsemax_loss", scores, labels)
    rows = given.reshape(-1, given.shape[-1])
    probabilities = jax.vmap(project_to_simplex)(rows).reshape(given.shape)
    # Relative to the label's score: the squares of large scores would cancel. An impossible class may have -inf.
    lead = given - _chosen(given, indices)[..., None]
    used = jnp.where(probabilities > 0, lead, 0)
    return jnp.sum(probabilities * (used - probabilities / 2), axis=-1) + 0.5


def make_fenchel_young_loss(max_fun: Callable[..., Any]) -> Callable[..., jax.Array]:
    """The loss that a function gives for which the maximum of a linear function is the model.

    ``loss(scores, targets) = max_fun(scores) - <targets, scores>``, whose gradient by the scores is the gradient of
    ``max_fun``, the prediction, less the targets. `jax.nn.logsumexp` gives the logistic loss. The conjugate of
    ``max_fun`` at the targets, a constant of the scores, is left out: the minimum need not be 0.

    Args:
      max_fun: function of scores ``[n]`` with a scalar value, convex; further arguments of the loss are passed on.

    Returns:
      Function of scores ``[..., n]`` and targets ``[..., n]``, and of what ``max_fun`` takes besides, with one loss
      per row, shape ``[...]``.

    Reference: Blondel, Martins and Niculae, *Learning with Fenchel-Young Losses*, 2020, definition 1.
    """

    def fenchel_young_loss(scores: ArrayLike, targets: ArrayLike, *args: Any, **kwargs: Any) -> jax.Array:
        # numpy's vectorize excludes arguments by number and name: only the scores are cut into rows.
        rows = jnp.vectorize(lambda row: max_fun(row, *args, **kwargs), signature="(n)->()")
        products = jnp.vectorize(jnp.vdot, signature="(n),(n)->()")
        return rows(scores) - products(targets, scores)

    return fenchel_young_loss


def _multiclass(loss: str, scores: ArrayLike, labels: ArrayLike) -> tuple[jax.Array, jax.Array]:
    given, indices = as_real(loss, "scores", scores), as_integer(loss, "labels", labels)
    if given.ndim == 0 or indices.shape != given.shape[:-1]:
        raise ValueError(
            f"{loss}: labels have shape {indices.shape}, scores {given.shape}; give one label per row, "
            f"shape {given.shape[:-1]}"
        )
    return given, indices


def _one_hot(indices: jax.Array, like: jax.Array) -> jax.Array:
    return jax.nn.one_hot(indices, like.shape[-1], dtype=like.dtype)


def _chosen(scores: jax.Array, indices: jax.Array) -> jax.Array:
    return jnp.take_along_axis(scores, indices[..., None], axis=-1)[..., 0]
