"""Checks on the arguments of losses.

Every failed check names the loss, the argument, what was got and what to do about it. A wrong shape or axis is a
``ValueError``, a wrong kind of value or dtype a ``TypeError``.
"""

from collections.abc import Sequence
from operator import index

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Axis = int | Sequence[int] | None

_NUMBERS_AND_ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float, complex)


def as_real(loss: str, name: str, value: ArrayLike) -> jax.Array:
    """``value`` as an array of real numbers of any dtype; ``TypeError`` for anything else."""
    # Lists are refused, as everywhere in JAX: converting one costs a transfer per element.
    if not isinstance(value, _NUMBERS_AND_ARRAYS) and not hasattr(value, "__jax_array__"):
        raise TypeError(
            f"{loss}: {name} must be an array or a number, got {type(value).__name__}; convert it with jnp.asarray"
        )
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(f"{loss}: {name} must be real, got {array.dtype}; pass the real and imaginary parts separately")
    return array


def as_floating(loss: str, name: str, value: ArrayLike) -> jax.Array:
    """``value`` as a floating-point array; ``TypeError`` for every other dtype."""
    array = as_real(loss, name, value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"{loss}: {name} must have a floating-point dtype, got {array.dtype}; "
            f"convert it, for instance with .astype(jnp.float32)"
        )
    return array


def as_integer(loss: str, name: str, value: ArrayLike) -> jax.Array:
    """``value`` as an integer array; ``TypeError`` for every other dtype, booleans included."""
    array = as_real(loss, name, value)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(
            f"{loss}: {name} must have an integer dtype, got {array.dtype}; "
            f"class indices can be converted with .astype(jnp.int32)"
        )
    return array


def common_shape(loss: str, **arrays: jax.Array) -> tuple[int, ...]:
    """The shape that the named arrays broadcast to; ``ValueError`` when there is none."""
    try:
        return jnp.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{loss}: shapes do not broadcast: {shapes}; reshape one of them") from None


def reduction_axes(loss: str, axis: Axis, shape: tuple[int, ...]) -> tuple[int, ...]:
    """``axis`` as non-negative axes of an array of this shape, in the order given; None is every axis."""
    if axis is None:
        return tuple(range(len(shape)))
    requested = tuple(index(a) for a in axis) if isinstance(axis, Sequence) else (index(axis),)
    for a in requested:
        if not -len(shape) <= a < len(shape):
            raise ValueError(f"{loss}: axis {a} is out of range for shape {shape}; choose one of its {len(shape)} axes")
    axes = tuple(a % len(shape) for a in requested)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{loss}: axis {axis} names one axis of shape {shape} twice; name each axis once")
    return axes


def full_mask(loss: str, where: ArrayLike | None, shape: tuple[int, ...], class_axis: Axis = None) -> jax.Array | None:
    """``where`` as a boolean array of exactly this shape; None stays None.

    A mask of another rank lacks ``class_axis``, if that is given: it is for whole distributions.
    """
    if where is None:
        return None
    mask = as_real(loss, "where", where)
    if mask.dtype != jnp.bool_:
        raise TypeError(f"{loss}: where must be boolean, got {mask.dtype}; write it as a comparison, such as mask > 0")
    if class_axis is not None and mask.ndim not in (0, len(shape)):
        mask = jnp.expand_dims(mask, class_axis if isinstance(class_axis, int) else tuple(class_axis))
    try:
        return jnp.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(f"{loss}: where has shape {mask.shape}, which does not broadcast to {shape}") from None


def fill_masked(mask: jax.Array | None, array: jax.Array, fill: float) -> jax.Array:
    """``array`` with ``fill`` where the mask is False.

    Losses fill before they compute: a NaN behind the mask then reaches neither the value nor the gradient.
    """
    return array if mask is None else jnp.where(mask, array, jnp.asarray(fill, array.dtype))
