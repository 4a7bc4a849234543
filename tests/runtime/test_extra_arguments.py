"""Extra arguments of `step`, and functions among those of `update`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from tests.parity.trajectories import same
from tests.trees import matrices_only, ragged


def wrapped(inner: Any) -> Any:
    """Wrappers hand extra arguments on."""
    return optcc.chain(
        optcc.masked(optcc.MultiSteps(inner, 2).gradient_transformation(), matrices_only),
        optcc.partition({"a": inner}, "a"),
    )


def test_step_takes_what_the_chain_asks_for():
    tx, params = wrapped(optcc.contrib.momo(0.5)), ragged(0)
    opt = optcc.compile(tx, params)
    state, expected_state = opt.init(params), tx.init(params)
    stepped = jax.tree.map(jnp.copy, params)
    for i in range(4):
        extra = {"value": jnp.float32(2.0 / (i + 1)), "ignored": jnp.ones(3)}
        stepped, state = opt.step(ragged(i + 1), state, stepped, **extra)
        updates, expected_state = tx.update(ragged(i + 1), expected_state, params, **extra)
        params = optcc.apply_updates(params, updates)
    same((stepped, state), (params, expected_state), 2e-6, "step")


def test_an_argument_is_an_input_and_no_constant():
    """One compilation for ten values, under the numbers of another optimizer, and with one hyperparameter changed."""
    tx, params = optcc.polyak_sgd(10.0), {"w": jnp.ones(3)}
    opt = optcc.compile(tx, params, extra_args={"value": jnp.float32(0)})
    state, found = opt.init(params), []
    for value in range(10):
        new, state = opt.step({"w": jnp.ones(3)}, state, {"w": jnp.ones(3)}, value=jnp.float32(value))
        found.append(float(new["w"][0]))
    assert found == pytest.approx([1 - value / 3 for value in range(10)])
    assert opt._made.steps[False, False, False, True]._cache_size() == 1
    limited, _ = opt.step(
        {"w": jnp.ones(3)}, state, {"w": jnp.ones(3)}, value=9.0, hyperparams={"1.max_learning_rate": 0.5}
    )
    assert float(limited["w"][0]) == 0.5


def test_errors_name_the_argument():
    tx, params = optcc.chain(optcc.clip(1.0), optcc.contrib.momo()), ragged(0)
    state = tx.init(params)
    with pytest.raises(TypeError, match="keyword argument 'value'\n  where: chain"):
        tx.update(params, state, params)
    with pytest.raises(ValueError, match="'value' must be one number, got None"):
        tx.update(params, state, params, value=None)
    with pytest.raises(ValueError, match=r"'value' must be one number, got shapes \[\[3\]\]"):
        tx.update(params, state, params, value=jnp.ones(3))
    with pytest.raises(TypeError, match="value is a function"):
        optcc.compile(tx, params).step(params, state, params, value=lambda p: p)


def test_functions_reach_a_pair_that_calls_them():
    """Anew in each trace: what a function closes over may be of one."""

    def update(updates: Any, state: Any, params: Any = None, *, grad_fn: Any, **_: Any) -> Any:
        return grad_fn(params), state

    pair: Any = optcc.GradientTransformationExtraArgs
    tx = optcc.chain(optcc.scale(2.0), pair(lambda params: (), update), optcc.scale(3.0))
    params = {"w": jnp.ones(2)}

    @jax.jit
    def train(params: Any, batch: Any) -> Any:
        grad_fn = jax.grad(lambda p: jnp.sum(p["w"] * batch))
        return tx.update(params, tx.init(params), params, grad_fn=grad_fn)[0]

    for batch in (jnp.array([1.0, 2.0]), jnp.array([5.0, 7.0, 9.0])[:2]):
        same(train(params, batch), {"w": 3 * batch}, 1e-6, "update")
    same(train(params, jnp.zeros(2, jnp.bfloat16)), {"w": jnp.zeros(2)}, 0.0, "another trace")
