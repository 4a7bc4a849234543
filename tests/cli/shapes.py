"""Shapes of parameters, and refusals of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.params import load_params


def shape(*dimensions: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(dimensions, jnp.dtype(dtype))


def refusal(text: str) -> str:
    with pytest.raises(optcc.ParamsError) as error:
        load_params(text)
    return str(error.value)
