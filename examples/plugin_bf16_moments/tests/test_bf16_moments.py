"""The pass on chains of all kinds: values, bytes, states that are saved and restored."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc

PARAMS = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(5), "c": jnp.float32(0.5)}
PIPELINE = "bf16-moments,step"
CHAINS = {
    "adamw": optcc.adamw(1e-2),
    "lion": optcc.lion(1e-2),
    "clip_lamb": optcc.chain(optcc.clip_by_global_norm(1.0), optcc.lamb(1e-2)),
    "masked": optcc.masked(optcc.adamw(1e-2), {"w": True, "b": False, "c": True}),
}


def grads(step: int) -> Any:
    return jax.tree.map(lambda x: 0.3 * jnp.cos(x + step), PARAMS)


def train(opt: Any, state: Any, steps: range) -> tuple[Any, Any]:
    params = jax.tree.map(jnp.copy, PARAMS)
    for step in steps:
        params, state = opt.step(grads(step), state, params)
    return params, state


def moments(state: Any) -> list[Any]:
    return [x for path, x in jax.tree_util.tree_leaves_with_path(state) if ".mu" in jax.tree_util.keystr(path)]


@pytest.mark.parametrize("layout", ["tree", "packed"])
@pytest.mark.parametrize("backend", ["native", "stablehlo"])
@pytest.mark.parametrize("name", CHAINS)
def test_close_to_float32_with_moments_in_bfloat16(name: str, backend: str, layout: str):
    opt = optcc.compile(CHAINS[name], PARAMS, pipeline=PIPELINE, backend=backend, layout=layout)
    plain = optcc.compile(CHAINS[name], PARAMS)
    params, state = train(opt, opt.init(PARAMS), range(4))
    expected, _ = train(plain, plain.init(PARAMS), range(4))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-3), params, expected)
    unpacked = opt.unpack_state(state) if layout == "packed" else state
    kept = moments(unpacked)
    assert kept
    assert {x.dtype for x in kept} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize("name", CHAINS)
def test_the_pass_preserves_what_is_interpreted(name: str):
    opt = optcc.compile(CHAINS[name], PARAMS, pipeline=PIPELINE)
    state = opt.init(PARAMS)
    expected = opt.interpret_step(grads(0), state, PARAMS)
    got = opt.step(grads(0), state, jax.tree.map(jnp.copy, PARAMS))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-6), got, expected)


def test_bytes_fall():
    def bytes_of(**options: Any) -> float:
        found = optcc.compile(CHAINS["adamw"], {"w": jnp.ones((64, 64))}, **options).report().bytes_per_parameter
        assert found is not None
        return found

    assert bytes_of() - bytes_of(pipeline=PIPELINE) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("layout", ["tree", "packed"])
def test_a_state_moves_to_optax_and_back(layout: str):
    """What is saved under the pass is restored into Optax's float32 state, and the other way round."""
    opt = optcc.compile(CHAINS["adamw"], PARAMS, pipeline=PIPELINE, layout=layout)
    plain = optcc.compile(CHAINS["adamw"], PARAMS)
    _, state = train(opt, opt.init(PARAMS), range(2))
    as_optax = opt.to_optax(state)
    assert {x.dtype for x in moments(as_optax)} == {jnp.dtype(jnp.float32)}
    train(plain, as_optax, range(2, 3))
    back = opt.from_optax(opt.to_optax(opt.from_optax(plain.init(PARAMS))))
    assert jax.tree.structure(back) == jax.tree.structure(opt.init(PARAMS))
    train(opt, back, range(2))
