"""Clipping of single examples and units, against Optax and the mathematics."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.trees import assert_close

RNG = np.random.default_rng(11)
GRADS: Any = {
    "a": jnp.asarray(RNG.normal(size=(6, 3, 2)), jnp.float32),
    "b": jnp.asarray(RNG.normal(size=6), jnp.float32),
}


@pytest.mark.parametrize("limit", [0.0, 1.5, 3.0, 100.0])
def test_examples_equal_optax(limit: float):
    ours, theirs = (lib.per_example_global_norm_clip(GRADS, limit) for lib in (optcc, optax))
    assert_close(ours, theirs, limit=8, what="global")
    for uniform in (True, False):
        ours, theirs = (lib.per_example_layer_norm_clip(GRADS, limit, uniform) for lib in (optcc, optax))
        assert_close(ours, theirs, limit=8, what="layers")


def test_no_example_is_above_the_norm():
    (total, count) = optcc.per_example_global_norm_clip(jax.tree.map(lambda g: g[:1] * 100, GRADS), 2.0)
    np.testing.assert_allclose(optax.tree.norm(total), 2.0, rtol=1e-6)
    assert count == 1


@pytest.mark.parametrize("grads", [{"a": jnp.ones((3, 2)), "b": jnp.ones(2)}, jnp.ones(())])
def test_no_batch_axis(grads: Any):
    for name in ("per_example_global_norm_clip", "per_example_layer_norm_clip"):
        with pytest.raises(ValueError, match=f"{name}: Unlike other transforms"):
            getattr(optcc, name)(grads, 1.0)


@pytest.mark.parametrize("shape", [(), (4,), (1, 4, 1), (3, 4), (2, 3, 4), (2, 2, 3, 4), (2, 1, 2, 3, 2)])
def test_units_equal_optax(shape: tuple[int, ...]):
    x = jnp.asarray(RNG.normal(size=shape), jnp.float32)
    ours, theirs = (lib.transforms.unitwise_norm(x) for lib in (optcc, optax))
    assert_close(ours, theirs, limit=2, what="norm")
    limit = jnp.full(shape, 1.2)
    ours, theirs = (lib.transforms.unitwise_clip(theirs, limit, x) for lib in (optcc, optax))
    assert_close(ours, theirs, limit=2, what="clip")


def test_units_of_given_axes():
    x = jnp.array([[3.0, 4.0j], [0.0, 1.0]])
    np.testing.assert_allclose(optcc.transforms.unitwise_norm(x, axis=1), [[5.0, 5.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match=r"got the shape \(1, 1, 2, 1, 1, 2\)"):
        optcc.transforms.unitwise_norm(jnp.ones((1, 1, 2, 1, 1, 2)))
    with pytest.raises(ValueError, match=r"\(2, 2\), \(2,\), \(2, 2\)"):
        optcc.transforms.unitwise_clip(jnp.ones((2, 2)), jnp.ones(2), x)
