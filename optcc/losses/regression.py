"""Losses on real-valued predictions: elementwise, nothing is averaged."""

import math

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.losses.arguments import as_floating, as_real, common_shape


def squared_error(predictions: ArrayLike, targets: ArrayLike | None = None) -> jax.Array:
    """``(predictions - targets)**2``, elementwise.

    Args:
      predictions: floating-point, any shape.
      targets: exactly the shape of ``predictions``; zeros when left out.

    Returns:
      One error per prediction; ``squared_error(a, b).mean()`` is the mean squared error.

    Raises:
      TypeError: ``predictions`` are not floating-point.
      ValueError: the shapes differ. Broadcasting is refused: ``(n,)`` against ``(n, 1)`` would give ``(n, n)``.
    """
    error = _error("squared_error", predictions, targets, broadcast=False)
    return error * error


def l2_loss(predictions: ArrayLike, targets: ArrayLike | None = None) -> jax.Array:
    """``(predictions - targets)**2 / 2``, elementwise; its gradient is the error itself.

    The half is there in Bishop, *Pattern Recognition and Machine Learning* (2006), and absent from Hastie, Tibshirani
    and Friedman, *The Elements of Statistical Learning*. Arguments and errors are those of :func:`squared_error`.
    """
    error = _error("l2_loss", predictions, targets, broadcast=False)
    return 0.5 * (error * error)


def huber_loss(predictions: ArrayLike, targets: ArrayLike | None = None, delta: ArrayLike = 1.0) -> jax.Array:
    """Squared error for small errors, absolute error for large ones, elementwise.

    With ``e = predictions - targets``::

        e**2 / 2                      where |e| <= delta
        delta * (|e| - delta / 2)     elsewhere

    Its gradient is that of :func:`l2_loss` clipped to ``[-delta, delta]``.

    Args:
      predictions: floating-point, any shape.
      targets: broadcasts against ``predictions``; zeros when left out.
      delta: where the two pieces meet, at least 0; in the units of ``predictions``.

    Raises:
      TypeError: ``predictions`` are not floating-point.
      ValueError: the shapes do not broadcast, or ``delta`` is a negative Python number.

    Reference: Huber, *Robust Estimation of a Location Parameter*, 1964.
    """
    if isinstance(delta, int | float) and delta < 0:
        raise ValueError(f"huber_loss: delta must not be negative, got {delta}; pass the size of the quadratic region")
    error = _error("huber_loss", predictions, targets)
    clipped = jnp.clip(error, jnp.negative(delta), delta)
    # Not a select of the two pieces: the piece not taken would turn an infinite error into a NaN gradient.
    return 0.5 * (clipped * clipped) + delta * (jnp.abs(error) - jnp.abs(clipped))


def log_cosh(predictions: ArrayLike, targets: ArrayLike | None = None) -> jax.Array:
    """``log(cosh(predictions - targets))``, elementwise.

    About ``e**2 / 2`` for a small error ``e`` and ``|e| - log(2)`` for a large one; a Huber loss with a second
    derivative everywhere. The gradient is ``tanh(e)``.

    Args:
      predictions: floating-point, any shape.
      targets: broadcasts against ``predictions``; zeros when left out.

    Raises:
      TypeError: ``predictions`` are not floating-point.
      ValueError: the shapes do not broadcast.

    Reference: Chen et al., *Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder*, 2019.
    """
    error = _error("log_cosh", predictions, targets)
    # cosh(e) itself overflows float32 from |e| = 90 on.
    return jnp.logaddexp(error, -error) - math.log(2.0)


def _error(loss: str, predictions: ArrayLike, targets: ArrayLike | None, broadcast: bool = True) -> jax.Array:
    predicted = as_floating(loss, "predictions", predictions)
    if targets is None:
        return predicted
    expected = as_real(loss, "targets", targets)
    if broadcast:
        common_shape(loss, predictions=predicted, targets=expected)
    elif predicted.shape != expected.shape:
        raise ValueError(
            f"{loss}: predictions have shape {predicted.shape}, targets {expected.shape}; reshape one to the other"
        )
    return predicted - expected
