"""Microbatches: the whole batch is the truth, and Optax where the parts can be told apart."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import microbatching
from optcc.microbatching import AccumulationType, Accumulator

RNG = np.random.default_rng(2)
PARAMS: Any = {"w": jnp.asarray(RNG.normal(size=(3, 2)), jnp.float32), "b": jnp.ones(2)}
X, Y = (jnp.asarray(RNG.normal(size=(12, n)), jnp.float32) for n in (3, 2))
LIBS: tuple[Any, Any] = (microbatching, optax.microbatching)


def close(a: Any, b: Any) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6), a, b)


def loss(params: Any, x: Any, y: Any) -> Any:
    return jnp.sum(jnp.square(x @ params["w"] + params["b"] - y))


def residuals(params: Any, x: Any, y: Any) -> Any:
    return {"sum": loss(params, x, y), "each": x @ params["w"] - y, "count": jnp.int32(x.shape[0])}


@pytest.mark.parametrize("size", [1, 3, 12, None])
def test_gradient_of_a_sum(size: int | None):
    grad = jax.grad(loss)
    close(jax.jit(microbatching.microbatch(grad, (1, 2), size))(PARAMS, X, Y), grad(PARAMS, X, Y))


def test_derivative_of_a_microbatched_sum():
    close(jax.grad(microbatching.microbatch(loss, (1, 2), 4))(PARAMS, X, Y), jax.grad(loss)(PARAMS, X, Y))


def test_a_tree_of_accumulators():
    kinds = {"sum": AccumulationType.MEAN, "each": AccumulationType.CONCAT, "count": AccumulationType.SUM}
    found = microbatching.microbatch(residuals, (1, 2), 4, kinds)(PARAMS, X, Y)
    whole = residuals(PARAMS, X, Y)
    close(found, {**whole, "sum": whole["sum"] / 3})


@pytest.mark.parametrize("real", [None, 2])
@pytest.mark.parametrize("kind", ["SUM", "MEAN", "RUNNING_MEAN", "CONCAT"])
def test_parts_equal_optax(kind: str, real: int | None):
    def weighted(x: Any, *, scale: Any) -> Any:
        return jnp.einsum("ab,b->b", x, jnp.arange(1.0, 1 + x.shape[1])) * jnp.sum(scale)

    ours, theirs = (
        lib.microbatch(
            weighted,
            0,
            4,
            getattr(lib.AccumulationType, kind),
            argnames="scale",
            in_axes=(1, 0),
            num_real_microbatches=None if real is None else jnp.int32(real),
        )(X.T, scale=jnp.arange(12.0))
        for lib in LIBS
    )
    close(ours, theirs)


def test_own_accumulator():
    largest = Accumulator(
        lambda value: jnp.full(value.shape, -jnp.inf, value.dtype),
        lambda carry, value, index: jnp.maximum(carry, value),
        lambda carry: carry,
        lambda values: values.max(axis=0),
    )
    close(microbatching.microbatch(lambda x: x.max(), 0, 3, largest)(X), X.max())
    close(microbatching.micro_vmap(lambda x: x.sum(), microbatch_size=3, accumulator=largest)(X), X.sum(1).max())


@pytest.mark.parametrize("size", [2, None])
@pytest.mark.parametrize("kind", ["SUM", "MEAN", "RUNNING_MEAN", "CONCAT"])
def test_vmap(kind: str, size: int | None):
    def example(params: Any, x: Any, *, y: Any) -> Any:
        return loss(params, x, y)

    mapped = jax.vmap(lambda x, y: loss(PARAMS, x, y))(X, Y)
    expected = {"SUM": mapped.sum(), "MEAN": mapped.mean(), "RUNNING_MEAN": mapped.mean(), "CONCAT": mapped}[kind]
    in_parts = microbatching.micro_vmap(example, (None, 0), microbatch_size=size, accumulator=AccumulationType[kind])
    close(in_parts(PARAMS, X, y=Y), expected)
    with pytest.raises(NotImplementedError, match="out_axes must be 0"):
        microbatching.micro_vmap(example, 0, 1)


@pytest.mark.parametrize("size", [3, None])
@pytest.mark.parametrize("has_aux", [True, False])
def test_per_example_gradients_equal_optax(size: int | None, has_aux: bool):
    def fun(params: Any, x: Any, y: Any) -> Any:
        assert x.ndim == 2
        return (loss(params, x, y), x.sum()) if has_aux else loss(params, x, y)

    ours, theirs = (
        lib.micro_grad(
            fun,
            has_aux,
            batch_argnums=(1, 2),
            microbatch_size=size,
            transform_fn=lambda g: jax.tree.map(lambda x: x / (1 + optax.tree.norm(g)), g),
            metrics_fn=optax.tree.norm,
        )(PARAMS, X, Y)
        for lib in LIBS
    )
    close(ours[0], theirs[0])
    for name in ("values", "metrics", "aux"):
        close(getattr(ours[1], name), getattr(theirs[1], name))
    each = microbatching.micro_grad(loss, batch_argnums=(1, 2), keep_batch_dim=False, microbatch_size=size)
    close(each(PARAMS, X, Y)[0], jax.grad(loss)(PARAMS, X, Y))


def test_batch_axes_as_in_optax():
    tree = {"a": X, "b": X[:, :, None]}
    ours, theirs = (lib.reshape_batch_axis(tree, 4) for lib in LIBS)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    np.testing.assert_array_equal(microbatching.reshape_batch_axis(X.T, 4, -1), LIBS[1].reshape_batch_axis(X.T, 4, 1))


def test_refused():
    calls = [
        (lambda: microbatching.microbatch(loss, (1, 2), 5)(PARAMS, X, Y), "12 must be divisible by microbatch_size=5"),
        (lambda: microbatching.microbatch(loss, (1, 2), 3)(PARAMS, X, Y[:6]), "argument 1: 12, argument 2: 6"),
        (lambda: microbatching.microbatch(loss, (1, 2), 3, "sum")(PARAMS, X, Y), "unknown accumulator 'sum'"),
        (
            lambda: microbatching.microbatch(lambda x: x.shape[0], 0, 3, AccumulationType.MEAN)(X),
            "need floating-point outputs, got int32",
        ),
    ]
    for call, text in calls:
        with pytest.raises(ValueError, match=text):
            call()
