"""Projections against Optax, against what defines them, and where Optax is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import projections
from tests.trees import assert_close

RNG = np.random.default_rng(5)
TREE: Any = {"a": RNG.normal(size=(3, 4)), "b": [RNG.normal(size=2), RNG.normal()]}
NORMAL: Any = jax.tree.map(lambda x: RNG.normal(size=np.shape(x)), TREE)
LOWER: Any = jax.tree.map(lambda x: -0.2 + 0 * np.asarray(x), TREE)

Call = Callable[[Any, Any], Any]
CALLS: dict[str, Call] = {
    "non_negative": lambda lib, x: lib.projection_non_negative(x),
    "box": lambda lib, x: lib.projection_box(x, LOWER, jax.tree.map(lambda y: y + 1, LOWER)),
    "linf_ball": lambda lib, x: lib.projection_linf_ball(x, 0.3),
    "simplex": lambda lib, x: lib.projection_simplex(x),
    "simplex_scaled": lambda lib, x: lib.projection_simplex(x, 2.5),
    "l1_ball": lambda lib, x: lib.projection_l1_ball(x, 1.5),
    "l1_ball_inside": lambda lib, x: lib.projection_l1_ball(x, 100.0),
    "l1_sphere": lambda lib, x: lib.projection_l1_sphere(x, 1.5),
    "l1_sphere_outwards": lambda lib, x: lib.projection_l1_sphere(x, 50.0),
    "l2_ball": lambda lib, x: lib.projection_l2_ball(x, 0.7),
    "l2_ball_inside": lambda lib, x: lib.projection_l2_ball(x, 100.0),
    "l2_sphere": lambda lib, x: lib.projection_l2_sphere(x, 0.7),
    "vector": lambda lib, x: lib.projection_vector(x, NORMAL),
    "hyperplane": lambda lib, x: lib.projection_hyperplane(x, NORMAL, 0.4),
    "halfspace": lambda lib, x: lib.projection_halfspace(x, NORMAL, -30.0),
    "halfspace_inside": lambda lib, x: lib.projection_halfspace(x, NORMAL, 30.0),
}
calls = pytest.mark.parametrize("name", CALLS)


def as_dtype(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), tree)


@calls
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_value_and_gradient_equal_optax(name: str, dtype: Any):
    with jax.enable_x64(dtype == jnp.float64):
        x = as_dtype(TREE, dtype)

        def loss(lib: Any, x: Any) -> Any:
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(CALLS[name](lib, x)))

        rtol = 1e-4 if dtype == jnp.float32 else 1e-12
        values = [CALLS[name](lib, x) for lib in (projections, optax.projections)]
        gradients = [jax.jit(jax.grad(lambda x, lib=lib: loss(lib, x)))(x) for lib in (projections, optax.projections)]
        for ours, theirs in (values, gradients):
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol), ours, theirs)
            assert jax.tree.map(lambda a: a.dtype, ours) == jax.tree.map(lambda a: a.dtype, x)


@calls
def test_projecting_twice_changes_nothing(name: str):
    with jax.enable_x64(True):
        once = CALLS[name](projections, as_dtype(TREE, jnp.float64))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), CALLS[name](projections, once), once)


def test_hypercube():
    x = jnp.array([-1.0, 0.5, 3.0])
    np.testing.assert_array_equal(projections.projection_hypercube(x, 2), optax.projections.projection_hypercube(x, 2))
    # A number as bound serves a tree of several leaves, too, which Optax refuses.
    assert_close(projections.projection_hypercube([x, x], 1), [jnp.array([0.0, 0.5, 1.0])] * 2, limit=0, what="cube")


def test_simplex_of_large_values():
    """In float32 the sum of the sorted values would lose all digits that matter."""
    x = jnp.float32(1e6) + jnp.array([0.0, 0.25, 0.5, -1.0])
    np.testing.assert_allclose(projections.projection_simplex(x), [1 / 12, 1 / 3, 7 / 12, 0], rtol=1e-6)


def test_edges_of_the_simplex():
    x = jnp.array([0.3, -2.0, -jnp.inf])
    np.testing.assert_array_equal(projections.projection_simplex(x), [1, 0, 0])
    np.testing.assert_array_equal(projections.projection_simplex(x, 0), 0)
    assert projections.projection_simplex(()) == ()
    slope = jax.grad(lambda scale: projections.projection_simplex(jnp.array([0.3, 0.2, -9.0]), scale)[0])(1.0)
    np.testing.assert_allclose(slope, 0.5)


def test_sphere_around_zeros():
    """Optax takes the sign of a zero as 0, and leaves the sphere."""
    x = jnp.array([0.5, 0.0])
    np.testing.assert_allclose(projections.projection_l1_sphere(x, 1.0), [0.75, 0.25])
    assert float(jnp.abs(optax.projections.projection_l1_sphere(x, 1.0)).sum()) == 0.75


def test_inside_a_ball_to_the_last_bit():
    x = jnp.array([0.1, 0.7])
    np.testing.assert_array_equal(projections.projection_l2_ball(x, 3.3), x)
    np.testing.assert_array_equal(projections.projection_l2_ball(0 * x, 0.0), 0)
    np.testing.assert_array_equal(jax.grad(lambda x: projections.projection_l2_ball(x)[0])(0 * x), [1, 0])
