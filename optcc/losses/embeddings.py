"""Losses that compare embeddings with each other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import as_floating, as_real, common_shape


def ntxent(embeddings: ArrayLike, labels: ArrayLike, temperature: ArrayLike = 0.07) -> jax.Array:
    """Contrastive loss of a batch: embeddings of one label should be closer than those of two labels.

    With ``s(i, j)`` the cosine similarity divided by the temperature, a pair of one label has the loss
    ``log(1 + sum(exp(s(i, k) - s(i, j)) for k of another label))``. The result is the mean over these pairs, both
    orders counted.

    Args:
      embeddings: floating-point, shape ``[batch, dim]``.
      labels: shape ``[batch]``, compared by equality.
      temperature: positive; a small one lets the closest embeddings dominate.

    Returns:
      A 0-d array; 0 if no two embeddings share a label.

    Raises:
      TypeError: ``embeddings`` are not floating-point.
      ValueError: the shapes do not fit.

    Reference: Chen et al., *A Simple Framework for Contrastive Learning of Visual Representations*, 2020, equation 1,
    with groups instead of pairs.
    """
    vectors = as_floating("ntxent", "embeddings", embeddings)
    groups = as_real("ntxent", "labels", labels)
    if vectors.ndim != 2 or groups.shape != vectors.shape[:1]:
        raise ValueError(
            f"ntxent: embeddings must have shape (batch, dim), labels (batch,); got {vectors.shape} and {groups.shape}"
        )
    # The least squared norm is the epsilon of the dtype: an embedding of zeros is orthogonal to all others.
    squared_norms = jnp.sum(vectors * vectors, axis=-1, keepdims=True)
    unit = vectors / jnp.sqrt(jnp.maximum(squared_norms, jnp.finfo(vectors.dtype).eps))
    similarity = jnp.matmul(unit, unit.T, precision=jax.lax.Precision.HIGHEST) / temperature
    same = groups[:, None] == groups[None, :]
    pairs = same & ~jnp.eye(len(groups), dtype=bool)
    has_others = ~same.all(axis=1, keepdims=True)
    # Rows without any other label have a sum of 0, whose logarithm has no gradient: they are computed on zeros.
    others = jnp.where(same, jnp.where(has_others, -jnp.inf, 0.0), similarity)
    log_others = jax.nn.logsumexp(others, axis=1, keepdims=True)
    losses = jnp.where(pairs & has_others, jax.nn.softplus(log_others - similarity), 0.0)
    return jnp.sum(losses) / jnp.maximum(1, jnp.sum(pairs)).astype(losses.dtype)


def triplet_margin_loss(
    anchors: ArrayLike,
    positives: ArrayLike,
    negatives: ArrayLike,
    axis: int = -1,
    norm_degree: ArrayLike = 2,
    margin: ArrayLike = 1.0,
    eps: ArrayLike = 1e-6,
) -> jax.Array:
    """``max(0, |anchor - positive| - |anchor - negative| + margin)``: the negative should be farther by a margin.

    The distance is ``(sum(|x - y|**norm_degree) + eps)**(1 / norm_degree)`` along ``axis``.

    Args:
      anchors: floating-point, shape ``[..., dim]``.
      positives: floating-point, what should be close; broadcast against ``anchors``.
      negatives: floating-point, what should be far; broadcast against ``anchors``.
      axis: axis of the components of one vector.
      norm_degree: the degree of the norm, at least 1.
      margin: by how much the negative should be farther.
      eps: added below the root, so that equal vectors have a gradient.

    Returns:
      One loss per triplet, shape ``[...]``.

    Raises:
      TypeError: an input is not floating-point.
      ValueError: the shapes do not broadcast.

    Reference: Balntas et al., *Learning Shallow Convolutional Feature Descriptors with Triplet Losses*, 2016.
    """
    loss = "triplet_margin_loss"
    anchor = as_floating(loss, "anchors", anchors)
    near, far = as_floating(loss, "positives", positives), as_floating(loss, "negatives", negatives)
    common_shape(loss, anchors=anchor, positives=near, negatives=far)

    def distance(other: jax.Array) -> jax.Array:
        powers = jnp.power(jnp.abs(anchor - other), norm_degree)
        return jnp.power(jnp.sum(powers, axis=axis) + eps, 1 / jnp.asarray(norm_degree, anchor.dtype))

    return jnp.maximum(distance(near) - distance(far) + margin, 0)
