"""The pair and the compiled optimizer inside JAX's transformations and other libraries."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

import optcc
from tests.trees import assert_relative, matrices_only, ragged

CHAIN = optcc.chain(optcc.clip_by_global_norm(0.7), optcc.adamw(0.1, weight_decay=0.05, mask=matrices_only))
THEIRS = optax.chain(optax.clip_by_global_norm(0.7), optax.adamw(0.1, weight_decay=0.05, mask=matrices_only))


def updates_of(kind: str) -> Any:
    """The update function of the drop-in pair, or of the compiled optimizer."""
    return CHAIN.update if kind == "pair" else optcc.compile(CHAIN, ragged(0)).update


kinds = pytest.mark.parametrize("kind", ["pair", "compiled"])


@kinds
def test_jit(kind: str):
    params, grads = ragged(0), ragged(1)
    state = CHAIN.init(params)
    got = jax.jit(updates_of(kind))(grads, state, params)
    expected = jax.jit(THEIRS.update)(grads, THEIRS.init(params), params)
    assert_relative(got, expected, rtol=1e-6)


@kinds
def test_scan(kind: str):
    update = updates_of(kind)
    params = ragged(0)
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), *(ragged(i + 1) for i in range(4)))

    def body(step: Any, apply: Any):
        def run(carry: Any, g: Any) -> Any:
            p, s = carry
            u, s = step(g, s, p)
            return (apply(p, u), s), None

        return run

    got, _ = jax.lax.scan(body(update, optcc.apply_updates), (params, CHAIN.init(params)), grads)
    expected, _ = jax.lax.scan(body(THEIRS.update, optax.apply_updates), (params, THEIRS.init(params)), grads)
    assert_relative(got, expected, rtol=1e-5)


@kinds
def test_vmap(kind: str):
    update = updates_of(kind)
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), *(ragged(i + 1) for i in range(3)))
    params = ragged(0)
    got, _ = jax.jit(jax.vmap(lambda g: update(g, CHAIN.init(params), params)))(grads)
    expected, _ = jax.jit(jax.vmap(lambda g: THEIRS.update(g, THEIRS.init(params), params)))(grads)
    assert_relative(got, expected, rtol=1e-5)


@kinds
def test_gradient_through_the_update(kind: str):
    def make(lib: Any) -> Any:
        return lib.chain(lib.clip_by_global_norm(0.7), lib.ema(0.8), lib.add_decayed_weights(0.1))

    params = ragged(0)
    ours, theirs = make(optcc), make(optax)
    update = ours.update if kind == "pair" else optcc.compile(ours, params).update

    def norm(step: Any, state: Any, grads: Any) -> Any:
        return sum(jnp.sum(jnp.sin(u)) for u in jax.tree.leaves(step(grads, state, params)[0]))

    got = jax.jit(jax.grad(lambda g: norm(update, ours.init(params), g)))(ragged(1))
    expected = jax.jit(jax.grad(lambda g: norm(theirs.update, theirs.init(params), g)))(ragged(1))
    assert_relative(got, expected, rtol=1e-5)


@pytest.mark.parametrize("traced", [False, True], ids=["array", "traced"])
def test_hyperparameter_as_array(traced: bool):
    """A learning rate may be a 0-d array, traced and differentiated as well."""
    params, grads = ragged(0), ragged(1)

    def loss(lib: Any, lr: Any) -> Any:
        tx = lib.adamw(lr, b1=lr * 2)
        return sum(jnp.sum(u) for u in jax.tree.leaves(tx.update(grads, tx.init(params), params)[0]))

    def run(f: Any) -> Any:
        return jax.jit(jax.value_and_grad(f)) if traced else f

    got, expected = (run(lambda lr, lib=lib: loss(lib, lr))(jnp.float32(0.1)) for lib in (optcc, optax))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_array_hyperparameter_when_compiled():
    params = ragged(0)
    tx = optcc.sgd(jnp.float32(0.1))
    compiled = optcc.compile(tx, params)
    got, _ = compiled.step(ragged(1), compiled.init(params), jax.tree.map(jnp.copy, params))
    assert_relative(got, jax.tree.map(lambda p, g: p - 0.1 * g, params, ragged(1)), rtol=1e-6)


def test_train_state():
    """Flax's TrainState takes the pair as it takes Optax's."""
    params = {"w": jnp.ones((2, 3))}

    def run(tx: Any) -> Any:
        state = TrainState.create(apply_fn=lambda p, x: x @ p["w"], params=params, tx=tx)
        for i in range(3):
            state = state.apply_gradients(grads={"w": jnp.full((2, 3), float(i))})
        return state.params

    assert_relative(run(optcc.adam(0.1)), run(optax.adam(0.1)), rtol=1e-6)


def test_in_optax_chain():
    params, grads = ragged(0), ragged(1)
    ours: Any = optcc.scale_by_adam()
    mixed = optax.chain(optax.clip(0.3), ours, optax.scale(-0.1))
    plain = optax.chain(optax.clip(0.3), optax.scale_by_adam(), optax.scale(-0.1))
    got, _ = mixed.update(grads, mixed.init(params), params)
    expected, _ = plain.update(grads, plain.init(params), params)
    assert_relative(got, expected, rtol=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_foreign_pairs_in_a_chain(compiled: bool):
    """Optax's own transformations, one with an extra argument, between ours: opaque calls, Optax's numbers."""

    def make(lib: Any) -> Any:
        return lib.chain(lib.clip(0.5), optax.scale_by_rss(0.1), lib.scale_by_adam(), optax.scale_by_polyak())

    params, grads = ragged(0), ragged(1)
    ours, theirs = make(optcc), make(optax)
    step = optcc.compile(ours, params) if compiled else ours
    state, expected_state = ours.init(params), theirs.init(params)
    for i in range(3):
        updates, state = step.update(grads, state, params, value=jnp.float32(i + 1))
        expected, expected_state = theirs.update(grads, expected_state, params, value=jnp.float32(i + 1))
    assert_relative(updates, expected, rtol=1e-5)


def test_hand_written_pair():
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        return jax.tree.map(lambda u: 2 * u, updates), state + 1

    pair = optcc.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
    tx = optcc.chain(pair, optcc.scale(0.5))
    params = ragged(0)
    compiled = optcc.compile(tx, params)
    new_params, state = compiled.step(ragged(1), compiled.init(params), jax.tree.map(jnp.copy, params))
    assert int(state[0]) == 1
    assert_relative(new_params, jax.tree.map(jnp.add, params, ragged(1)), rtol=1e-6)


def test_state_moves_between_libraries():
    """A state written under Optax goes on under optcc, by its leaves."""
    params = ragged(0)
    theirs, ours = optax.adamw(0.1), optcc.adamw(0.1)
    state = theirs.init(params)
    _, state = theirs.update(ragged(1), state, params)
    moved = jax.tree.unflatten(jax.tree.structure(ours.init(params)), jax.tree.leaves(state))
    got, _ = ours.update(ragged(2), moved, params)
    expected, _ = theirs.update(ragged(2), state, params)
    assert_relative(got, expected, rtol=1e-6)


def test_schedule_is_imported_not_called():
    params = {"w": jnp.ones(3)}
    text = optcc.compile(optcc.adamw(optcc.warmup_cosine_decay_schedule(0.0, 1e-3, 5, 20)), params).ir("sweeps")
    assert "optim.call" not in text
    assert "math.cos" in text


def test_schedule_the_ir_cannot_hold_is_called():
    table = jnp.array([0.3, 0.2, 0.1])
    tx = optcc.scale_by_schedule(lambda count: table[jnp.minimum(count, 2)])
    params = {"w": jnp.ones(3)}
    compiled = optcc.compile(tx, params)
    assert 'optim.call "schedule"' in compiled.ir("sweeps")
    got, state = compiled.step({"w": jnp.ones(3)}, compiled.init(params), {"w": jnp.zeros(3)})
    np.testing.assert_allclose(got["w"], 0.3, rtol=1e-6)
    got, _ = compiled.step({"w": jnp.ones(3)}, state, {"w": jnp.zeros(3)})
    np.testing.assert_allclose(got["w"], 0.2, rtol=1e-6)


def test_bfloat16_rounding_survives():
    """The update is rounded to bfloat16 before it is added, as when `apply_updates` is called apart."""
    params = {"w": jnp.asarray(np.random.default_rng(0).normal(size=1000), jnp.bfloat16)}
    grads = {"w": jnp.asarray(np.random.default_rng(1).normal(size=1000), jnp.bfloat16)}
    tx = optcc.adamw(1e-2)
    updates, _ = tx.update(grads, tx.init(params), params)
    expected = optcc.apply_updates(params, updates)
    compiled = optcc.compile(tx, params)
    got, _ = compiled.step(grads, compiled.init(params), jax.tree.map(jnp.copy, params))
    assert bool(jnp.all(got["w"] == expected["w"]))


def test_float64():
    with jax.enable_x64(True):
        params = {"w": jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)))}
        grads = {"w": jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)))}
        ours = optcc.adamw(0.1, 0.8)
        theirs: Any = optax.adamw(0.1, 0.8)
        got, state = ours.update(grads, ours.init(params), params)
        expected, _ = theirs.update(grads, theirs.init(params), params)
        assert got["w"].dtype == jnp.float64
        np.testing.assert_allclose(got["w"], expected["w"], rtol=1e-15)
        compiled = optcc.compile(ours, params)
        new, _ = compiled.step(grads, compiled.init(params), jax.tree.map(jnp.copy, params))
        np.testing.assert_allclose(new["w"], params["w"] + expected["w"], rtol=1e-14)
        assert state[0].mu["w"].dtype == jnp.float64


def test_gradient_through_early_radam_steps():
    """The branch that radam does not take in its first steps must not leak a NaN into the gradient."""
    tx = optcc.scale_by_radam(eps_root=1e-8)  # without it the root has no derivative at zero, in adam neither

    def loss(g: jax.Array) -> jax.Array:
        state = tx.init(g)
        for _ in range(7):
            u, state = tx.update(g, state)
        return jnp.sum(u)

    gradient = jax.jit(jax.grad(loss))(jnp.array([0.0, 1.0, -2.0]))
    assert bool(jnp.all(jnp.isfinite(gradient)))


def test_state_and_parameters_of_a_pair_may_be_donated():
    """`init` returns no array of the parameters, and none twice."""
    tx = optcc.chain(optcc.contrib.mechanize(optcc.sgd(0.1)), optcc.contrib.schedule_free(optcc.sgd(0.1), 0.1))
    params = {"w": jnp.ones(3), "b": jnp.ones(3)}
    state = tx.init(params)
    leaves = jax.tree.leaves((params, state))
    assert len(set(map(id, leaves))) == len(leaves)
    jax.jit(lambda p, s: tx.update(p, s, p), donate_argnums=(0, 1))(params, state)
