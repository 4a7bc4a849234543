"""One leaf: its shape and dtype, checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp

from optcc.errors import ParamsError, did_you_mean, message
from optcc.sizes import check_sizes

DTYPES = ("float32", "bfloat16", "float16", "float64")


def exists(file: str) -> bool:
    """Whether there is a file; one whose name no file system takes is not there."""
    try:
        return Path(file).exists()
    except (OSError, ValueError):
        return False


def leaf(shape: Sequence[int], dtype: str, where: str) -> jax.ShapeDtypeStruct:
    """A leaf of a shape and of a dtype's name. Raises ParamsError."""
    if dtype not in DTYPES:
        hint = did_you_mean(dtype, DTYPES) or f"one of {', '.join(DTYPES)}"
        raise ParamsError(message(f"a parameter cannot be of dtype {dtype!r}", where, hint))
    result = jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype))
    check_sizes([(where, result.shape)])
    return result
