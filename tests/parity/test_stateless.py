"""Transformations given as a plain function: opaque calls of the IR, with Optax's results."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.trees import assert_close, assert_relative, matrices_only, ragged


def by_norm(updates: Any, params: Any) -> Any:
    """Something that has no counterpart among the transformations, with and without parameters."""
    norm = jnp.sqrt(sum(jnp.sum(u**2) for u in jax.tree.leaves(updates)))
    if params is None:
        return jax.tree.map(lambda u: u / norm, updates)
    return jax.tree.map(lambda u, p: jnp.cumsum(u, axis=-1) / norm + 0.1 * p if u.ndim else u, updates, params)


def leaf(update: Any, param: Any) -> Any:
    return jnp.sin(update) if param is None else jnp.sin(update) * param


MAKE = {
    "stateless": lambda lib: lib.stateless(by_norm),
    "stateless_with_tree_map": lambda lib: lib.stateless_with_tree_map(leaf),
}
kinds = pytest.mark.parametrize("kind", MAKE)


@kinds
@pytest.mark.parametrize("with_params", [True, False])
def test_equals_optax(kind: str, with_params: bool):
    params, grads = ragged(0), ragged(1)
    args = (params,) if with_params else ()
    ours, theirs = MAKE[kind](optcc), MAKE[kind](optax)
    state = ours.init(params)
    assert state == optcc.EmptyState()
    for wrap in (lambda f: f, jax.jit):
        got, new = wrap(ours.update)(grads, state, *args)
        assert_close(got, wrap(theirs.update)(grads, theirs.init(params), *args)[0], limit=0)
        assert new == state


@kinds
def test_in_a_chain_and_under_a_mask(kind: str):
    """The function sees the tree as Optax shows it, with nodes where leaves are masked."""

    def make(lib: Any) -> Any:
        return lib.chain(lib.clip(0.5), lib.masked(MAKE[kind](lib), matrices_only), lib.adamw(0.1))

    params, grads = ragged(0), ragged(1)
    ours, theirs = make(optcc), make(optax)
    got, _ = ours.update(grads, ours.init(params), params)
    expected, _ = theirs.update(grads, theirs.init(params), params)
    assert_relative(got, expected, rtol=1e-6)


@kinds
def test_compiled(kind: str):
    """An opaque call between sweeps, not a failure."""
    tx = optcc.chain(optcc.clip(0.5), MAKE[kind](optcc), optcc.scale(-0.1))
    params, grads = ragged(0), ragged(1)
    updates, _ = tx.update(grads, tx.init(params), params)
    expected = optcc.apply_updates(params, updates)
    compiled = optcc.compile(tx, params)
    assert f'optim.call "1.{kind}"' in compiled.ir("sweeps")
    got, _ = compiled.step(grads, compiled.init(params), jax.tree.map(jnp.copy, params))
    assert_relative(got, expected, rtol=1e-6)


@kinds
def test_gradient(kind: str):
    params, grads = ragged(0), ragged(1)

    def loss(lib: Any) -> Any:
        tx = MAKE[kind](lib)

        def run(g: Any, p: Any) -> Any:
            return sum(jnp.sum(jnp.cos(u)) for u in jax.tree.leaves(tx.update(g, tx.init(p), p)[0]))

        return jax.jit(jax.grad(run, argnums=(0, 1)))(grads, params)

    assert_relative(loss(optcc), loss(optax), rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_dtypes_are_those_of_the_function(compiled: bool):
    """One dtype for some leaves and another for others, though all came in as one group."""

    def narrow(updates: Any, params: Any) -> Any:
        del params
        return jax.tree.map(lambda u: u.astype(jnp.bfloat16) if u.ndim > 1 else 2 * u, updates)

    params, grads = ragged(0), ragged(1)
    tx = optcc.chain(optcc.stateless(narrow), optcc.scale(0.5))
    step = optcc.compile(tx, params) if compiled else tx
    got, _ = step.update(grads, tx.init(params), params)
    expected = jax.tree.map(lambda u: (u.astype(jnp.bfloat16) * 0.5) if u.ndim > 1 else u, grads)
    assert_close(got, expected, limit=0)


@pytest.mark.parametrize("compiled", [False, True])
def test_python_numbers_become_arrays(compiled: bool):
    params = {"a": jnp.ones(())}
    tx = optcc.stateless_with_tree_map(lambda u, p: 3.0)
    step = optcc.compile(tx, params) if compiled else tx
    got, _ = step.update(params, tx.init(params), params)
    np.testing.assert_array_equal(got["a"], jnp.float32(3))


def test_function_is_called_at_each_step():
    """It is not run once and kept: what it closes over may change outside of a jit."""
    factor = [1.0]
    tx = optcc.stateless_with_tree_map(lambda u, p: u * factor[0])
    grads = {"a": jnp.ones(2)}
    for factor[0] in (2.0, 3.0):
        got, _ = tx.update(grads, tx.init(grads))
        np.testing.assert_array_equal(got["a"], np.full(2, factor[0], np.float32))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda u, p: {"w": jnp.sum(u["w"])}, r"shape \[\] for an update of shape \[2, 3\]"),
        (lambda u, p: [u["w"]], r"returns PyTreeDef\(\[\*\]\) for updates PyTreeDef\(\{'w': \*\}\)"),
    ],
)
def test_other_structure_or_shape_is_an_error(function: Any, what: str):
    params = {"w": jnp.ones((2, 3))}
    tx = optcc.chain(optcc.clip(1.0), optcc.stateless(function))
    with pytest.raises(optcc.TreeMismatchError, match=what) as error:
        tx.update(params, tx.init(params))
    assert "where: chain[1] stateless" in str(error.value)
    assert "fix:   return updates with the structure and the shapes of those given" in str(error.value)
