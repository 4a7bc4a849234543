"""Packed parameters and states inside JAX, as pytrees, in checkpoints and in threads."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

import optcc
from optcc.runtime.packed_trees import PackedParams, PackedState
from tests.runtime.packed import assert_near, assert_same, backends, copied
from tests.trees import ragged

# In JAX


def loss_of(params: Any) -> Any:
    return sum(jnp.sum(x.astype(jnp.float32) ** 3) for x in jax.tree.leaves(params))


def test_gradient_of_unpack_is_packed():
    params = ragged(0, mixed=True)
    compiled = optcc.compile(optcc.adamw(0.1), params)
    packed = compiled.pack(params)
    grads = jax.jit(jax.grad(lambda q: loss_of(compiled.unpack(q))))(packed)
    assert isinstance(grads, PackedParams)
    assert grads.layout == packed.layout
    assert_same(compiled.unpack(grads), jax.jit(jax.grad(loss_of))(params))


def test_gradient_of_unpack_adds_nothing_up():
    """One buffer is made of the gradients of the leaves; slices would give a sum of as many padded buffers."""
    params = {f"p{i}": jnp.ones((32,)) for i in range(20)}
    compiled = optcc.compile(optcc.sgd(0.1), params)
    grad = jax.jit(jax.grad(lambda q: loss_of(compiled.unpack(q))))
    text = grad.lower(compiled.pack(params)).as_text()
    assert text.count("stablehlo.pad") == text.count("dynamic_update_slice") == 0
    assert text.count("stablehlo.concatenate") <= 3  # JAX makes it of up to 16 pieces at a time


def test_other_transformations_of_unpack():
    """Forward mode, second derivatives and batches."""
    params = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}
    compiled = optcc.compile(optcc.sgd(0.1), params)

    def loss(q: Any) -> Any:
        return loss_of(compiled.unpack(q))

    packed, direction = compiled.pack(params), compiled.pack(jax.tree.map(jnp.ones_like, params))
    value, slope = jax.jvp(loss, (packed,), (direction,))
    np.testing.assert_allclose([value, slope], [9.0 + 4.0, 15.0 + 12.0])
    hessian = jax.jvp(jax.grad(loss), (packed,), (direction,))[1]
    np.testing.assert_allclose(compiled.unpack(hessian)["a"], [0.0, 6.0, 12.0])
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), packed)
    grads = jax.vmap(jax.grad(loss))(many)
    np.testing.assert_allclose(
        jax.vmap(compiled.unpack)(grads)["b"], 3 * np.array([np.ones((2, 2)), np.full((2, 2), 4.0)])
    )
    together = jax.grad(lambda q: jnp.sum(jax.vmap(loss)(q)))(many)
    assert_same(together, grads)


@backends
def test_scan_in_a_donated_jit(backend: str):
    """Steps in a loop of the user's, parameters and state packed, the loss of the packed parameters inside."""
    params = ragged(0)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend=backend)

    def one(carry: Any, _: Any) -> Any:
        params, state = carry
        loss, grads = jax.value_and_grad(lambda q: loss_of(compiled.unpack(q)))(params)
        return compiled.step(grads, state, params), loss

    run = jax.jit(lambda p, s: jax.lax.scan(one, (p, s), None, 4), donate_argnums=(0, 1))
    (got, state), _ = run(compiled.pack(params), compiled.init(params))
    expected, expected_state = copied(params), compiled.unpack_state(compiled.init(params))
    for _ in range(4):
        expected, expected_state = compiled.step(jax.grad(loss_of)(expected), expected_state, expected)
    assert_near((compiled.unpack(got), compiled.unpack_state(state)), (expected, expected_state), 1e-5)


def test_vmap_and_grad_through_packed_steps():
    """An ensemble of packed parameters, and the gradient of a loss after a step with respect to those before."""
    params = {"a": jnp.arange(1.0, 4.0), "b": jnp.ones((2, 2))}
    compiled = optcc.compile(optcc.adam(0.1), params, layout="packed")
    packed, state, grads = compiled.pack(params), compiled.init(params), compiled.pack(params)

    def two(x: Any) -> Any:
        return jax.tree.map(lambda v: jnp.stack([v, 2 * v]), x)

    got = jax.vmap(compiled.step)(two(grads), two(state), two(packed))
    for i, tree in enumerate((grads, jax.tree.map(lambda x: 2 * x, grads))):
        scaled = jax.tree.map(lambda x, i=i: x * (i + 1), (state, packed))
        assert_near(jax.tree.map(lambda x, i=i: x[i], got), compiled.step(copied(tree), *copied(scaled)), 1e-5)

    def after(p: Any) -> Any:
        return loss_of(compiled.unpack(compiled.step(grads, compiled.init(params), p)[0]))

    slope = jax.grad(after)(compiled.pack(params))
    moved = compiled.step(params, compiled.init(params), copied(params))[0]
    assert_near(compiled.unpack(slope), jax.tree.map(lambda x: 3 * x**2, moved), 1e-5)


# As pytrees


def test_packed_are_pytrees():
    params = ragged(0, mixed=True)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed")
    state, packed = compiled.init(params), compiled.pack(params)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert names[:2] == ["['0.count']", "['0.mu/all_bfloat16']"] or names[:2] == ["['0.count']", "['0.mu/all_float32']"]
    assert len(names) == 5
    assert repr(packed) in (
        "PackedParams(params/all_bfloat16, params/all_float32)",
        "PackedParams(params/all_float32, params/all_bfloat16)",
    )
    doubled = jax.tree.map(lambda x: 2 * x, packed)
    assert_same(compiled.unpack(doubled), jax.tree.map(lambda x: 2 * x, params))
    shapes = jax.eval_shape(compiled.init, params)
    assert isinstance(shapes, PackedState)
    assert jax.tree.structure(shapes) == jax.tree.structure(state)
    assert [x.shape for x in jax.tree.leaves(shapes)] == [x.shape for x in jax.tree.leaves(state)]
    back = jax.eval_shape(compiled.unpack_state, shapes)
    assert jax.tree.structure(back) == jax.tree.structure(compiled._made.state)
    assert all(x.ndim == 1 for x in jax.tree.leaves(packed))


def test_compiled_for_shapes_only():
    """Parameters that are never there: the layout, the packed state and the executable come from shapes."""
    shapes = {"a": jax.ShapeDtypeStruct((3, 4), jnp.float32), "b": jax.ShapeDtypeStruct((5,), jnp.bfloat16)}
    compiled = optcc.compile(optcc.adam(0.1), shapes, layout="packed", backend="stablehlo")
    packed = jax.eval_shape(compiled.pack, shapes)
    assert [x.shape for x in jax.tree.leaves(packed)] == [(16,), (16,)]
    new, state = jax.eval_shape(compiled.step, packed, jax.eval_shape(compiled.init, shapes), packed)
    assert jax.tree.structure(new) == jax.tree.structure(packed)
    assert isinstance(state, PackedState)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_packed_for_the_same_optimizer(way: Any):
    params = ragged(0)
    compiled = optcc.compile(optcc.adam(0.1), params, layout="packed")
    state = compiled.init(params)
    assert_same(compiled.unpack_state(way(state)), compiled.unpack_state(state))
    assert_same(compiled.unpack(way(compiled.pack(params))), params)


def test_parameters_in_two_copies():
    """Lookahead has a fast and a slow copy of the parameters, and gradients of the fast one only."""
    params = optcc.LookaheadParams.init_synced(ragged(0))
    compiled = optcc.compile(optcc.lookahead(optcc.adam(0.1), 2, 0.5), params, layout="packed", backend="stablehlo")
    packed = compiled.pack(params)
    assert_same(compiled.init(packed), compiled.init(params))
    tree = copied(params), compiled.unpack_state(compiled.init(params))
    state = compiled.init(params)
    for i in range(2):
        packed, state = compiled.step(ragged(i + 1), state, packed)
        tree = compiled.step(ragged(i + 1), tree[1], tree[0])
    assert_near((compiled.unpack(packed), compiled.unpack_state(state)), tree, 1e-5)


# Checkpoints


def test_orbax_saves_and_restores_a_packed_state(tmp_path: Path):
    """Saved in one run, restored in the next, which goes on with the same bits; into a tree, too."""
    params = {"w": jnp.ones((3, 5)), "h": jnp.ones((4,), jnp.bfloat16), "s": jnp.array(2.0)}
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend="stablehlo")
    packed, state = compiled.step(compiled.pack(params), compiled.init(params), compiled.pack(params))
    expected = compiled.unpack(packed), compiled.unpack_state(state)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "checkpoint", {"params": packed, "state": state})
    again = optcc.compile(optcc.adamw(0.2), params, layout="packed", backend="stablehlo")
    like = {"params": jax.eval_shape(again.pack, params), "state": jax.eval_shape(again.init, params)}
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "checkpoint", like)
    assert isinstance(restored["state"], PackedState)
    assert_same((again.unpack(restored["params"]), again.unpack_state(restored["state"])), expected)
    again.step(again.pack(params), restored["state"], restored["params"])


# Threads


def test_first_use_in_many_threads():
    """All threads get one executable, and the same result."""
    params = ragged(0)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend="stablehlo")
    together = Barrier(4)

    def run(_: int) -> Any:
        together.wait()
        return compiled.step(compiled.pack(ragged(1)), compiled.init(params), compiled.pack(params))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4)))
    assert compiled._made.steps[True, True, True, True]._cache_size() == 1
    for result in results[1:]:
        assert_same(result, results[0])
