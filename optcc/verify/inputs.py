"""The numbers that a verification runs on: ordinary ones, special ones, and such as make ties."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)
SPECIAL = (*_SPECIAL, 1e-45, -1e-45, 1e-40, 1.18e-38, -2e-38, 1e-25, 1.0, -2.5, 1e18, -3e18)
"""Zeros, NaN, infinities, denormals, the least normal number, squares that are denormal or large. None overflows: where
a product and a sum are fused, the product does not, and the contract allows both."""
TIES = (0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 0.5, -0.5, 2.0, 1e-40, -1e-40)
"""Zeros, denormals, and values that are often equal: signs, largest and smallest values meet ties. All are finite, so
that a reduction over the whole tree stays a number."""
KINDS = {"normal": (), "special": SPECIAL, "ties": TIES}
"""What each kind of input is made of, over and over; normally distributed numbers where nothing is given."""


def tree_like(shapes: Any, kind: str, seed: int, *, is_gradient: bool) -> Any:
    """Arrays in the shapes of a pytree. Gradients and parameters run through the special values at different paces.

    What is no float is zeros. Numbers that a dtype does not have become its infinities and zeros.
    """
    rng, values = np.random.default_rng(seed), np.asarray(KINDS[kind])

    def make(number: int, x: jax.ShapeDtypeStruct) -> jax.Array:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return jnp.zeros(x.shape, x.dtype)
        if not len(values):
            return jnp.asarray(rng.normal(size=x.shape).astype(np.float32), x.dtype)
        places = np.arange(x.size) + number
        places = places if is_gradient else places // len(values) + places
        with np.errstate(over="ignore"):
            return jnp.asarray(values[places % len(values)].reshape(x.shape), x.dtype)

    leaves, structure = jax.tree.flatten(shapes)
    return jax.tree.unflatten(structure, [make(i, x) for i, x in enumerate(leaves)])
