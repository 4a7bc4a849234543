"""Least squares without negative unknowns, against scipy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import nnls as exact_nnls

import optcc

RNG = np.random.default_rng(9)


@pytest.mark.parametrize("shape", [(8, 3), (5, 5), (3, 6), (4, 1)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_solution(shape: tuple[int, int], dtype: Any):
    A, b = RNG.normal(size=shape), RNG.normal(size=(shape[0], 2))
    with jax.enable_x64(dtype == jnp.float64):
        x = jax.jit(lambda A, b: optcc.nnls(A, b, 2000))(jnp.asarray(A, dtype), jnp.asarray(b, dtype))
        assert x.dtype == dtype
        x = np.asarray(x, np.float64)
    assert (x >= 0).all()
    for k in range(2):
        residual = np.linalg.norm(A @ x[:, k] - b[:, k])
        np.testing.assert_allclose(residual, exact_nnls(A, b[:, k])[1], rtol=1e-4, atol=1e-5)


def test_one_iteration_is_one_step():
    """Optax's first momentum takes back its first step, so that it is one iteration behind."""
    A, b = jnp.asarray(RNG.normal(size=(6, 4)), jnp.float32), jnp.asarray(RNG.normal(size=6), jnp.float32)
    np.testing.assert_allclose(optcc.nnls(A, b, 1, L=20.0), jnp.maximum(A.T @ b / 20, 0), rtol=1e-6)
    np.testing.assert_allclose(optcc.nnls(A, b, 7), optax.nnls(A, b, 8), rtol=1e-5, atol=1e-6)


def test_zeros():
    np.testing.assert_array_equal(optcc.nnls(jnp.zeros((3, 2)), jnp.ones(3), 5), 0)


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(2,\)"):
        optcc.nnls(jnp.zeros((3, 2)), jnp.zeros(2), 5)
