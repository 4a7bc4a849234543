"""Smoothed functions: against Optax's numbers, against the expectation, and their derivatives."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import perturbations

KEY = jax.random.key(4)
X: Any = {"a": jnp.array([0.3, -0.2, 0.1]), "b": jnp.float32(0.4)}


def choice(x: Any) -> Any:
    return {"one": jax.nn.one_hot(jnp.argmax(x["a"]), 3) * x["b"], "two": jnp.sum(x["a"]) ** 2}


@pytest.mark.parametrize("noise", ["Gumbel", "Normal"])
@pytest.mark.parametrize("use_baseline", [True, False])
def test_value_and_derivatives_equal_optax(noise: str, use_baseline: bool):
    def loss(lib: Any, x: Any) -> Any:
        smooth = lib.make_perturbed_fun(choice, 30, 0.5, getattr(lib, noise)(), use_baseline)(KEY, x)
        return jnp.sum(smooth["one"]) + jnp.sin(smooth["two"])

    for derivative in (lambda f: f, jax.grad, jax.hessian):
        ours, theirs = (derivative(lambda x, lib=lib: loss(lib, x))(X) for lib in (perturbations, optax.perturbations))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4), ours, theirs)


def test_gumbel_noise_on_a_choice_is_a_softmax():
    scores = jnp.array([1.0, 0.2, -0.5])
    smooth = perturbations.make_perturbed_fun(lambda x: jax.nn.one_hot(jnp.argmax(x), 3), 20_000, 0.5)
    np.testing.assert_allclose(smooth(KEY, scores), jax.nn.softmax(scores / 0.5), atol=0.02)
    jacobian = jax.jit(jax.jacobian(lambda x: smooth(KEY, x)))(scores)
    np.testing.assert_allclose(jacobian, jax.jacobian(lambda x: jax.nn.softmax(x / 0.5))(scores), atol=0.06)


@pytest.mark.parametrize("name", ["Gumbel", "Normal"])
def test_densities(name: str):
    """Up to a constant: the slope of the logarithm."""
    exact = {"Gumbel": jax.scipy.stats.gumbel_r.logpdf, "Normal": jax.scipy.stats.norm.logpdf}[name]
    points = jnp.linspace(-1.0, 3.0, 7)
    slope = jax.vmap(jax.grad(getattr(perturbations, name)().log_prob))(points)
    np.testing.assert_allclose(slope, jax.vmap(jax.grad(exact))(points), rtol=1e-5, atol=1e-6)
    assert getattr(perturbations, name)().sample(KEY, (2, 3), jnp.float16).dtype == jnp.float16
