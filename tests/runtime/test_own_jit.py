"""`update` and `apply_updates` in a jit of one's own: one sweep, as many kernels as a step, and no copies."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc import sums
from optcc.runtime import aliases
from tests.runtime.test_training_step import CHAINS, LAYERS, batch, copies, loss, model


def train_of(tx: Any, apply_updates: Any = optcc.apply_updates) -> Any:
    """A training step as Optax's documentation writes it."""

    def train(params: Any, state: Any, x: Any, y: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, x, y)
        updates, state = tx.update(grads, state, params)
        return apply_updates(params, updates), state, value

    return train


def compiled(train: Any, opt: Any) -> Any:
    shapes = jax.eval_shape(lambda: (model(), opt.init(model()), *batch()))
    return jax.jit(train, donate_argnums=(0, 1)).lower(*shapes).compile()


def sums_of(made: Any) -> int:
    """Loops over a matrix that are none of our kernels."""
    entry = made.as_text().partition("\nENTRY")[2]
    return len(re.findall(r"= f32\[16,16\]\S* fusion\(", entry))


@pytest.mark.parametrize("backend", ["native", "stablehlo"])
@pytest.mark.parametrize("name", CHAINS)
def test_values_of_optax(name: str, backend: str):
    opt, tx = optcc.compile(CHAINS[name](optcc), model(), backend=backend), CHAINS[name](optax)
    ours, theirs = jax.jit(train_of(opt)), jax.jit(train_of(tx, optax.apply_updates))
    got, wanted = (model(), opt.init(model())), (model(), tx.init(model()))
    for _ in range(3):
        *got, value = ours(*got, *batch())
        *wanted, expected = theirs(*wanted, *batch())
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", CHAINS)
def test_it_is_the_step(name: str):
    """As many native calls as `step` makes, nothing copied, no array of updates: what the two other ways need."""
    opt = optcc.compile(CHAINS[name](optcc), model(), backend="native")
    made, step = compiled(train_of(opt), opt), opt.jit_step(loss)
    shapes = jax.eval_shape(lambda: (model(), opt.init(model()), *batch()))
    best = step.lower(*shapes).compile()
    assert made.as_text().count("custom-call(") == best.as_text().count("custom-call(")
    assert copies(made, "f32[16,16]") == copies(best, "f32[16,16]") == 0
    sizes = [c.memory_analysis().temp_size_in_bytes for c in (made, best)]
    assert sizes[0] <= sizes[1] + 64
    by_hand = compiled(train_of(opt, lambda p, u: jax.tree.map(jnp.add, p, u)), opt)
    assert (sums_of(made), sums_of(by_hand)) == (0, LAYERS)


def test_updates_that_are_looked_at_are_there():
    """With a norm of the updates beside them both results are computed, and fit each other."""
    opt = optcc.compile(optcc.adamw(1e-2), model())

    def train(params: Any, state: Any, grads: Any) -> Any:
        updates, state = opt.update(grads, state, params)
        return optcc.apply_updates(params, updates), state, updates

    params, _, updates = jax.jit(train)(model(), opt.init(model()), model())
    for p, old, u in zip(*map(jax.tree.leaves, (params, model(), updates)), strict=True):
        np.testing.assert_allclose(p, old + u, rtol=1e-6)


def test_changed_updates_and_other_parameters_are_added():
    opt = optcc.compile(optcc.sgd(0.5), model())

    @jax.jit
    def train(params: Any, state: Any, grads: Any) -> Any:
        updates, _ = opt.update(grads, state, params)
        halved = jax.tree.map(lambda u: u / 2, updates)
        others = jax.tree.map(lambda p: p + 1, params)
        return optcc.apply_updates(params, halved), optcc.apply_updates(others, updates)

    halved, others = train(model(), opt.init(model()), model())
    for a, b, p in zip(*map(jax.tree.leaves, (halved, others, model())), strict=True):
        np.testing.assert_allclose(a, 0.75 * p, rtol=1e-6)
        np.testing.assert_allclose(b, 0.5 * p + 1, rtol=1e-6)


def test_within_scan_vmap_and_grad():
    opt = optcc.compile(optcc.adam(1e-2), model())
    state = opt.init(model())

    def one(carry: Any, grads: Any) -> Any:
        params, state = carry
        updates, state = opt.update(grads, state, params)
        return (optcc.apply_updates(params, updates), state), None

    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x, -x]), model())
    (scanned, _), _ = jax.jit(lambda p, s, g: jax.lax.scan(one, (p, s), g))(model(), state, many)
    params = model(), state
    for i in range(3):
        params, _ = one(params, jax.tree.map(lambda x, i=i: x[i], many))
    for a, b in zip(jax.tree.leaves(scanned), jax.tree.leaves(params[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)

    batched = jax.vmap(lambda g: one((model(), state), g)[0][0])(many)
    first = one((model(), state), model())[0][0]
    np.testing.assert_allclose(batched[0]["w"][0], first[0]["w"], rtol=1e-5, atol=1e-7)
    slope = jax.grad(lambda g: jnp.sum(one((model(), state), g)[0][0][0]["w"]))(model())
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(slope))


def test_bfloat16_parameters_are_rounded_once():
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), model())
    opt = optcc.compile(optcc.adamw(1e-2), params)
    state = opt.init(params)
    fused, _, _ = jax.jit(train_of(opt))(params, state, *batch())
    grads = jax.jit(jax.grad(loss))(params, *batch())
    stepped, _ = opt.step(grads, state, params, donate=False)
    for a, b in zip(jax.tree.leaves(fused), jax.tree.leaves(stepped), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(np.float32(a), np.float32(b), rtol=1e-2)


def test_nothing_is_kept():
    """What was offered goes with the updates."""
    before = len(sums._SUMS)
    opt = optcc.compile(optcc.sgd(0.5), model())
    jax.jit(train_of(opt)).lower(model(), opt.init(model()), *batch())
    assert len(sums._SUMS) == before


@pytest.mark.parametrize("name", CHAINS)
def test_donated_in_another_order(name: str):
    """State before parameters, results the other way: each array gets its own buffer back all the same."""
    opt = optcc.compile(CHAINS[name](optcc), model(), backend="native")

    def train(batch: Any, state: Any, params: Any) -> Any:
        grads = jax.grad(loss)(params, *batch)
        updates, state = opt.update(grads, state, params)
        return {"params": optcc.apply_updates(params, updates), "state": state}

    jitted = jax.jit(train, donate_argnums=(1, 2))
    made = jitted.lower(*jax.eval_shape(lambda: (batch(), opt.init(model()), model()))).compile()
    assert copies(made, "f32[16,16]") == 0
    got = jitted(batch(), opt.init(model()), model())
    wanted, _, _ = jax.jit(train_of(opt))(model(), opt.init(model()), *batch())
    for a, b in zip(jax.tree.leaves(got["params"]), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("names", "results", "expected"),
    [
        (["[0].mu['w']", "['w']"], {0: "[0]['w']", 3: "[1][0].mu['w']"}, [3, 0]),
        (["['w']", "[0].mu['w']"], {0: "[0]['w']", 3: "[1][0].mu['w']"}, [0, 3]),
        (["['a']", "['b']"], {4: "[0]", 7: "[1]"}, [4, 7]),  # nothing fits: as they were
        (["", ""], {1: "", 2: ""}, [1, 2]),
        (["['b']", "['a']"], {1: "['a']", 2: "[5]"}, [2, 1]),
    ],
)
def test_pairs(names: list[str], results: dict[int, str], expected: list[int]):
    assert aliases._paired(names, results) == expected


def test_arrays_of_other_types_are_not_paired():
    """A bfloat16 moment cannot take the buffer of float32 parameters, whatever its path."""
    opt = optcc.compile(optcc.adam(1e-2, mu_dtype=jnp.bfloat16), model())
    jitted = jax.jit(lambda g, s, p: opt.step(g, s, p), donate_argnums=(1, 2))
    params, _ = jitted(model(), opt.init(model()), model())
    wanted, _ = opt.step(model(), opt.init(model()), model())
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(a, b)
