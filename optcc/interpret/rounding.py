"""Rounding to float16 and bfloat16 in JAX: once, to nearest even, with float16's denormals."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

LOW_BITS = 2**29 - 1
"""The bits of a float64 that are below the last place of a float32."""


def round_number(value: np.generic, dtype: np.dtype) -> np.generic:
    """A number that Python computes. numpy rounds float64 to float32 on the way to bfloat16, so ties are met twice."""
    if value.dtype == np.float64 and dtype == jnp.bfloat16:
        value = to_odd(value.view(np.uint64)).view(np.float64)
    return value.astype(dtype)


def round_array(value: jax.Array, dtype: np.dtype) -> jax.Array:
    """A float32 or float64 array. XLA may drop a conversion there and back, and with it the rounding."""
    if dtype == np.float16:
        return _float16(value)
    # XLA rounds float64 to float32 on the way, unless nothing is left to be rounded.
    info = jnp.finfo(dtype)
    value = lax.reduce_precision(value, exponent_bits=info.nexp, mantissa_bits=info.nmant)
    return lax.convert_element_type(value, dtype)


@jax.custom_jvp
def _float16(value: jax.Array) -> jax.Array:
    """XLA looks through no bit cast; `reduce_precision` would make zeros of float16's denormals."""
    if value.dtype == np.float64:
        value = lax.bitcast_convert_type(to_odd(lax.bitcast_convert_type(value, np.uint64)), np.float64)
    narrow = lax.convert_element_type(value, np.float16)
    return lax.bitcast_convert_type(lax.bitcast_convert_type(narrow, np.uint16), np.float16)


@_float16.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """The derivative of the conversion: bit casts have none."""
    return _float16(*primals), lax.convert_element_type(tangents[0], np.float16)


def to_odd(bits: Any) -> Any:
    """A float64 with as many digits as a float32, as bits: cut off, with the last one set where that is not exact.

    Rounding it on gives what rounding the float64 once would, also by way of float32: no result is a tie.
    """
    low = np.uint64(LOW_BITS)
    return (bits | ((bits & low) + low)) & ~low
