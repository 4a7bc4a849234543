"""Between numpy dtypes and the IR's scalar types."""

from __future__ import annotations

from functools import cache

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from xdsl.dialects.builtin import (
    BFloat16Type,
    ComplexType,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerType,
    Signedness,
    i1,
)
from xdsl.ir import Attribute

from optcc.errors import message

_TYPES: dict[str, Attribute] = {
    "float32": Float32Type(),
    "float64": Float64Type(),
    "float16": Float16Type(),
    "bfloat16": BFloat16Type(),
    "bool": i1,
    "complex64": ComplexType(Float32Type()),
    "complex128": ComplexType(Float64Type()),
    **{f"int{n}": IntegerType(n) for n in (8, 16, 32, 64)},
    **{f"uint{n}": IntegerType(n, Signedness.UNSIGNED) for n in (8, 16, 32, 64)},
}
_DTYPES = {type_: np.dtype(name if name != "bfloat16" else jnp.bfloat16) for name, type_ in _TYPES.items()}


@cache
def name_of(dtype: np.dtype) -> str:
    """The name of a numpy dtype. numpy puts it together at every access, which is felt for thousands of leaves."""
    return dtype.name


def type_of(dtype: DTypeLike) -> Attribute:
    """The IR type of a numpy dtype. Raises TypeError for a dtype the IR has no type for."""
    name = np.dtype(dtype).name
    if name not in _TYPES:
        raise TypeError(message(f"dtype {name} has no type in the IR", fix=f"use one of {', '.join(_TYPES)}"))
    return _TYPES[name]


def dtype_of(type_: Attribute) -> np.dtype:
    """The numpy dtype of a scalar type of the IR."""
    return _DTYPES[type_]


def compute_dtype(dtype: DTypeLike) -> np.dtype:
    """The dtype that arithmetic on `dtype` is done in: float32 for the floats below it, else `dtype` itself."""
    dtype = np.dtype(dtype)
    if jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 32:
        return np.dtype(np.float32)
    return dtype


def real_of(dtype: DTypeLike) -> np.dtype:
    """The dtype of the parts of a complex dtype; any other itself."""
    dtype = np.dtype(dtype)
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def default_float() -> np.dtype:
    """What JAX makes of a Python float: float64 under `jax_enable_x64`, else float32."""
    return np.dtype(jnp.result_type(float))
