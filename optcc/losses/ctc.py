"""Connectionist temporal classification: sequences of labels whose places in time are unknown."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import as_floating, as_integer, as_real


def ctc_loss(
    logits: ArrayLike,
    logit_paddings: ArrayLike,
    labels: ArrayLike,
    label_paddings: ArrayLike,
    blank_id: int = 0,
    log_epsilon: float = -100000.0,
) -> jax.Array:
    """Negative log-likelihood of label sequences, summed over their alignments; shape ``(B,)``, in nats.

    See :func:`ctc_loss_with_forward_probs` for arguments and errors.
    """
    return ctc_loss_with_forward_probs(logits, logit_paddings, labels, label_paddings, blank_id, log_epsilon)[0]


def ctc_loss_with_forward_probs(
    logits: ArrayLike,
    logit_paddings: ArrayLike,
    labels: ArrayLike,
    label_paddings: ArrayLike,
    blank_id: int = 0,
    log_epsilon: float = -100000.0,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Negative log-likelihood of label sequences, with the forward probabilities behind it.

    A frame emits a label or the blank. An alignment stands for the labels left after merging equal neighbours and
    then dropping blanks, so between two equal labels there must be a blank. With ``p`` the softmax of the logits,
    ``B[t, n]`` the probability that frames ``0..t`` emit the first ``n`` labels and frame ``t`` a blank, and
    ``L[t, n]`` the same with frame ``t`` in label ``n`` (counted from 1)::

        B[t, n] = p[t, blank]   * (B[t-1, n] + L[t-1, n])
        L[t, n] = p[t, label_n] * (L[t-1, n] + B[t-1, n-1] + L[t-1, n-1] * (label_n != label_{n-1}))

    Everything is kept as logarithms.

    Args:
      logits: floating-point, shape ``(B, T, K)``: batch, frames, classes with the blank among them.
      logit_paddings: ``(B, T)``, 1 for a padded frame, else 0. A padded frame is skipped, whatever it holds.
      labels: integers in ``[0, K)``, shape ``(B, N)``. An index out of range that is not padded gives NaN.
      label_paddings: ``(B, N)``, 1 for a padded label, else 0; each row is zeros followed by ones.
      blank_id: the class that means blank.
      log_epsilon: stands for the logarithm of zero, which keeps sums and gradients of impossible paths finite. A
        sequence with more labels than its frames can hold has a loss near ``-log_epsilon``.

    Returns:
      ``(loss, log_alpha_blank, log_alpha_label)``. ``loss`` is ``(B,)``. ``log_alpha_blank`` is ``(T, B, N+1)`` and
      holds ``log(B[t, n])``, except in the last frame, where it is ``log(B + L)``: all alignments of ``n`` labels.
      ``log_alpha_label`` is ``(T, B, N)``; its entry ``n`` is label ``n + 1`` of the formulas. At least float32.

    Raises:
      TypeError: ``logits`` are not floating-point or ``labels`` not integers.
      ValueError: a shape does not fit or ``blank_id`` is not a class.

    Reference: Graves et al., *Connectionist Temporal Classification*, 2006.
    """
    scores = as_floating("ctc_loss", "logits", logits)
    frame_padded = as_real("ctc_loss", "logit_paddings", logit_paddings).astype(bool)
    classes = as_integer("ctc_loss", "labels", labels)
    label_padded = as_real("ctc_loss", "label_paddings", label_paddings).astype(bool)
    _check_shapes(scores, frame_padded, classes, label_padded, blank_id)

    # Sums over frames lose too much in half precision. Padded frames are cleared first, since they may hold NaN.
    scores = scores.astype(jnp.float32 if jnp.finfo(scores.dtype).bits < 32 else scores.dtype)
    log_probs = jax.nn.log_softmax(jnp.where(frame_padded[..., None], 0.0, scores), axis=-1)
    log_blank = log_probs[:, :, blank_id]
    log_label = _label_log_probs(log_probs, classes, label_padded)

    batch, length = classes.shape
    repeated = classes[:, 1:] == classes[:, :-1]
    # A penalty, not an exclusion, so that an impossible sequence still has a gradient.
    skip_penalty = jnp.where(repeated, log_epsilon, 0.0).astype(log_probs.dtype)
    blank = jnp.full((batch, length + 1), log_epsilon, log_probs.dtype).at[:, 0].set(0.0)
    label = jnp.full((batch, length), log_epsilon, log_probs.dtype)

    def step(
        alphas: tuple[jax.Array, jax.Array], frame: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        blank, label = alphas
        emit_blank, emit_label, padded = frame
        entering = _add_after_first(blank[:, :-1], label[:, :-1] + skip_penalty)
        next_blank = _add_after_first(blank, label) + emit_blank[:, None]
        next_label = jnp.logaddexp(entering, label) + emit_label
        keep = padded[:, None]
        alphas = jnp.where(keep, blank, next_blank), jnp.where(keep, label, next_label)
        return alphas, alphas

    frames = (log_blank.T, log_label.transpose(1, 0, 2), frame_padded.T)
    (blank, label), (blank_alphas, label_alphas) = jax.lax.scan(step, (blank, label), frames)

    total = _add_after_first(blank, label)
    label_count = jnp.sum(~label_padded, axis=1, dtype=jnp.int32)
    loss = -jnp.take_along_axis(total, label_count[:, None], axis=1)[:, 0]
    # Slices, not an index: they also serve zero frames.
    return loss, blank_alphas.at[-1:].set(total[None][: blank_alphas.shape[0]]), label_alphas


def _add_after_first(blank: jax.Array, label: jax.Array) -> jax.Array:
    """Add (in log space) the paths that end in label ``n`` to entry ``n`` of ``blank``; entry 0 has no label."""
    return jnp.concatenate([blank[:, :1], jnp.logaddexp(blank[:, 1:], label)], axis=1)


def _label_log_probs(log_probs: jax.Array, labels: jax.Array, padded: jax.Array) -> jax.Array:
    """The log-probability of each label at each frame, ``(B, T, N)``."""
    num_classes = log_probs.shape[2]
    in_range = (labels >= 0) & (labels < num_classes)
    # A padded label may be anything, -1 is common: it must not turn the gradients of the others into NaN.
    indices = jnp.clip(labels, 0, num_classes - 1)[:, None, :]
    shape = (*log_probs.shape[:2], labels.shape[1])
    gathered = jnp.take_along_axis(log_probs, jnp.broadcast_to(indices, shape), axis=2)
    return jnp.where((in_range | padded)[:, None, :], gathered, jnp.nan)


def _check_shapes(
    logits: jax.Array, logit_paddings: jax.Array, labels: jax.Array, label_paddings: jax.Array, blank_id: int
) -> None:
    if logits.ndim != 3:
        raise ValueError(f"ctc_loss: logits must have shape (batch, frames, classes), got {logits.shape}")
    batch, frames, num_classes = logits.shape
    if logit_paddings.shape != (batch, frames):
        raise ValueError(
            f"ctc_loss: logit_paddings must have shape {(batch, frames)}, as logits are {logits.shape}; "
            f"got {logit_paddings.shape}"
        )
    if labels.ndim != 2 or labels.shape[0] != batch:
        raise ValueError(f"ctc_loss: labels must have shape ({batch}, number of labels), got {labels.shape}")
    if label_paddings.shape != labels.shape:
        raise ValueError(
            f"ctc_loss: label_paddings must have the shape of labels, {labels.shape}; got {label_paddings.shape}"
        )
    if not 0 <= blank_id < num_classes:
        raise ValueError(f"ctc_loss: blank_id must be a class in [0, {num_classes}), got {blank_id}")
