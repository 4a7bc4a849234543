"""Hessian products and diagonals against the full Hessian and against Optax 0.2.8."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from optax import second_order as optax_second_order

from optcc.second_order import fisher_diag, hessian_diag, hvp

RNG = np.random.default_rng(0)
PARAMS = {
    "w": jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32),
    "b": jnp.asarray(RNG.normal(size=2), jnp.float32),
    "scale": jnp.float32(0.7),
}
INPUTS = jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32)
TARGETS = jnp.asarray([0, 1, 1, 0, 1])
FLAT, UNRAVEL = ravel_pytree(PARAMS)


def loss(params: Any, inputs: jax.Array, targets: jax.Array) -> jax.Array:
    logits = params["scale"] ** 3 * jnp.tanh(inputs @ params["w"] + params["b"])
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(5), targets])


def flat_loss(flat: jax.Array) -> jax.Array:
    return loss(UNRAVEL(flat), INPUTS, TARGETS)


@pytest.fixture(scope="module")
def hessian() -> jax.Array:
    return jax.jit(jax.hessian(flat_loss))(FLAT)


def from_optax(name: str, *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(optax_second_order, name)(*args)


@pytest.mark.parametrize("run", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_hvp(run: Callable[[Any], Any], hessian: jax.Array) -> None:
    v = jnp.asarray(RNG.normal(size=FLAT.size), jnp.float32)
    product = run(lambda p: hvp(loss, v, p, INPUTS, TARGETS))(PARAMS)
    assert jax.tree.structure(product) == jax.tree.structure(PARAMS)
    np.testing.assert_allclose(ravel_pytree(product)[0], hessian @ v, rtol=1e-4, atol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        product,
        from_optax("hvp", loss, v, PARAMS, INPUTS, TARGETS),
    )


def test_hessian_diag(hessian: jax.Array) -> None:
    diagonal = jax.jit(lambda p: hessian_diag(loss, p, INPUTS, TARGETS))(PARAMS)
    np.testing.assert_allclose(diagonal, jnp.diag(hessian), rtol=1e-4, atol=1e-6)
    expected = jax.jit(lambda p: from_optax("hessian_diag", loss, p, INPUTS, TARGETS))(PARAMS)
    np.testing.assert_allclose(diagonal, expected, rtol=1e-5, atol=1e-6)


def test_fisher_diag() -> None:
    diagonal = fisher_diag(loss, PARAMS, INPUTS, TARGETS)
    np.testing.assert_array_equal(diagonal, jnp.square(jax.grad(flat_loss)(FLAT)))
    np.testing.assert_array_equal(diagonal, from_optax("fisher_diag", loss, PARAMS, INPUTS, TARGETS))


def test_bfloat16_parameters() -> None:
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), PARAMS)
    product = jax.jit(lambda p: hvp(loss, np.ones(FLAT.size), p, INPUTS, TARGETS))(params)
    assert {leaf.dtype for leaf in jax.tree.leaves(product)} == {jnp.dtype(jnp.bfloat16)}
    for diagonal in (hessian_diag, fisher_diag):
        result = jax.jit(lambda p, f=diagonal: f(loss, p, INPUTS, TARGETS))(params)
        assert (result.shape, result.dtype) == (FLAT.shape, jnp.bfloat16)


@pytest.mark.parametrize("v", [np.ones(3), np.ones((9, 1)), 1.0])
def test_hvp_refuses_another_shape(v: Any) -> None:
    with pytest.raises(
        ValueError, match=r"hvp: v must have shape \(9,\), one entry per parameter, got .*\n  fix:   \w"
    ):
        hvp(loss, v, PARAMS, INPUTS, TARGETS)
