"""A training step of one's own: the fast form, beside Optax, and what it copies."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc

LAYERS = 6


def model() -> Any:
    rng = np.random.default_rng(0)
    return [{"w": jnp.asarray(rng.normal(size=(16, 16)) / 4, jnp.float32), "b": jnp.zeros(16)} for _ in range(LAYERS)]


def loss(params: Any, x: Any, y: Any) -> Any:
    for layer in params:
        x = jnp.tanh(x @ layer["w"] + layer["b"])
    return jnp.mean((x - y) ** 2)


def batch() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    return jnp.asarray(rng.normal(size=(8, 16)), jnp.float32), jnp.asarray(rng.normal(size=(8, 16)), jnp.float32)


CHAINS = {
    "adamw": lambda m: m.adamw(1e-2),
    "clip_adamw": lambda m: m.chain(m.clip_by_global_norm(0.1), m.adamw(1e-2)),
    "lion": lambda m: m.lion(1e-2),
}


@pytest.mark.parametrize("backend", ["native", "stablehlo"])
@pytest.mark.parametrize("name", CHAINS)
def test_losses_of_optax(name: str, backend: str):
    opt, tx = optcc.compile(CHAINS[name](optcc), model(), backend=backend), CHAINS[name](optax)
    train = opt.jit_step(loss)
    params, state = model(), opt.init(model())
    expected, expected_state = model(), tx.init(model())
    for _ in range(4):
        params, state, value = train(params, state, *batch())
        wanted, grads = jax.value_and_grad(loss)(expected, *batch())
        updates, expected_state = tx.update(grads, expected_state, expected)
        expected = optax.apply_updates(expected, updates)
        np.testing.assert_allclose(value, wanted, rtol=1e-5)


def test_what_the_loss_returns_besides():
    opt = optcc.compile(optcc.sgd(0.1), model())
    train = opt.jit_step(lambda p, x, y: (loss(p, x, y), {"mean": jnp.mean(x)}), has_aux=True)
    _, _, (value, extra) = train(model(), opt.init(model()), *batch())
    assert value.shape == ()
    np.testing.assert_allclose(extra["mean"], jnp.mean(batch()[0]))


@pytest.mark.parametrize("name", CHAINS)
def test_nothing_is_copied(name: str):
    """Every buffer of parameters and state is reused, and XLA copies none of them; nor in the order (g, s, p)."""
    opt = optcc.compile(CHAINS[name](optcc), model())
    shapes = jax.eval_shape(lambda: (model(), opt.init(model()), *batch()))
    compiled = opt.jit_step(loss).lower(*shapes).compile()
    assert copies(compiled, "f32[16,16]") == 0
    assert compiled.memory_analysis().alias_size_in_bytes >= opt.donated_bytes - 8

    crossed = jax.jit(lambda grads, state, params: opt.step(grads, state, params), donate_argnums=(1, 2)).lower(
        shapes[0], shapes[1], shapes[0]
    )
    assert copies(crossed.compile(), "f32[16,16]") == 0


def copies(compiled: Any, shape: str) -> int:
    return len(re.findall(rf"= {re.escape(shape)}\S* copy\(", compiled.as_text()))
