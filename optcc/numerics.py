"""Norms and counters that stay right at zero and at the largest number."""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp

from optcc.errors import message

Scalar: TypeAlias = float | jax.Array
"""A Python number or a 0-d array."""


def abs_sq(x: jax.typing.ArrayLike) -> jax.Array:
    """``|x|**2``, elementwise: real for complex ``x``, of the dtype of ``x`` otherwise."""
    x = jnp.asarray(x)
    if not jnp.iscomplexobj(x):
        return x * x
    return x.real * x.real + x.imag * x.imag


def safe_norm(
    x: jax.typing.ArrayLike,
    min_norm: jax.typing.ArrayLike,
    ord: int | float | str | None = None,  # noqa: A002 - the name in numpy
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> jax.Array:
    """``max(norm(x), min_norm)``, with gradient 0 wherever the norm is not above ``min_norm``.

    Taking the maximum of `jax.numpy.linalg.norm` gives the gradient NaN at ``x = 0``, also where ``min_norm`` is the
    result: the derivative of the root is infinite, and infinity times 0 is NaN.

    Args:
      x: array of any shape that the order allows.
      min_norm: lower bound; a number, or an array of the shape of the result.
      ord: order of the norm, as in `jax.numpy.linalg.norm`; None is the 2-norm, of all entries if ``axis`` is None.
      axis: axis of vectors, two axes of matrices, or None for all.
      keepdims: keep the reduced axes, with length 1.

    Returns:
      The norms, of the dtype of ``x`` if that is floating, real if ``x`` is complex.
    """
    x = jnp.asarray(x)
    norm = jnp.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)
    is_small = norm <= min_norm
    kept = is_small
    if not keepdims:
        kept = is_small.reshape((1,) * x.ndim) if axis is None else jnp.expand_dims(is_small, axis)
    # The root is taken of ones where its value is not used.
    x = jnp.where(kept, jnp.ones_like(x), x)
    return jnp.where(is_small, min_norm, jnp.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims))


def safe_root_mean_squares(x: jax.typing.ArrayLike, min_rms: jax.typing.ArrayLike) -> jax.Array:
    """``max(sqrt(mean(|x|**2)), min_rms)``, with gradient 0 wherever the root is not above ``min_rms``.

    The gradient at ``x = 0`` is 0 instead of NaN, as in `safe_norm`. The result is a 0-d array; that of an array
    without entries is NaN.
    """
    x = jnp.asarray(x)
    is_small = jnp.sqrt(jnp.mean(abs_sq(x))) <= min_rms
    x = jnp.where(is_small, jnp.ones_like(x), x)
    return jnp.where(is_small, min_rms, jnp.sqrt(jnp.mean(abs_sq(x))))


def safe_increment(count: jax.typing.ArrayLike) -> jax.Array:
    """``count + 1``, or the largest finite number of its dtype where there is none above ``count``.

    An overflow would wrap to the most negative number, and a decay rate to that power would be infinite.

    Args:
      count: array of an integer or floating dtype, which is kept.

    Raises:
      ValueError: ``count`` has another dtype.
    """
    count = jnp.asarray(count)
    if jnp.issubdtype(count.dtype, jnp.integer):
        largest = jnp.iinfo(count.dtype).max
    elif jnp.issubdtype(count.dtype, jnp.floating):
        largest = jnp.finfo(count.dtype).max
    else:
        raise ValueError(
            message(
                f"safe_increment: cannot count in dtype {count.dtype}",
                fix="make the count an integer or floating array, for instance jnp.zeros([], jnp.int32)",
            )
        )
    largest = jnp.asarray(largest, count.dtype)
    return jnp.where(count < largest, count + jnp.ones((), count.dtype), largest)


def safe_int32_increment(count: jax.typing.ArrayLike) -> jax.Array:
    """`safe_increment` under its first name; despite that, any integer or floating dtype is accepted."""
    return safe_increment(count)
