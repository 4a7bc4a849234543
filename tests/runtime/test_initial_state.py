"""The initial state is made without a program of thousands of results, where the parameters live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.runtime.test_compilations import compilations


def assert_equal(got: Any, expected: Any) -> None:
    """Equal values and dtypes, leaf by leaf."""
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        np.testing.assert_array_equal(np.asarray(x, np.float64), np.asarray(y, np.float64))


SHAPES = [(19, 23), (23,), (), (0, 3)]
PARAMS = {f"l{i}": jnp.full(SHAPES[i % 4], 0.5, jnp.bfloat16 if i % 3 else jnp.float32) for i in range(24)}


def scheduled(lib: Any) -> Any:
    return lib.inject_hyperparams(lib.adamw)(lib.linear_schedule(0.1, 0.0, 7), b1=0.8)


CONSTANT: dict[str, Callable[[Any], Any]] = {
    "adamw": lambda lib: lib.adamw(1e-3),
    "adafactor": lambda lib: lib.adafactor(1e-3),
    "adagrad": lambda lib: lib.adagrad(1e-3, initial_accumulator_value=0.25),
    "multi_steps": lambda lib: lib.MultiSteps(lib.adam(1e-3), 4),
    "novograd": lambda lib: lib.novograd(1e-3),
}
COMPUTED: dict[str, Callable[[Any], Any]] = {
    "schedule_free": lambda lib: lib.contrib.schedule_free_adamw(1e-3),
    "injected": scheduled,
    "noise": lambda lib: lib.add_noise(0.1, 0.5, seed=3) if lib is optcc else lib.add_noise(0.1, 0.5, 3),
}


@pytest.mark.parametrize("layout", ["pair", "tree", "packed"])
@pytest.mark.parametrize("name", CONSTANT)
def test_a_state_of_constants_compiles_nothing(name: str, layout: str) -> None:
    ours = CONSTANT[name](optcc)
    tx = ours if layout == "pair" else optcc.compile(ours, PARAMS, layout=layout)
    jax.clear_caches()
    with compilations() as compiled:
        state = tx.init(PARAMS)
    nonzero = name == "adagrad" and layout == "packed"
    assert len(compiled) <= (60 if nonzero else 0), compiled
    expected = CONSTANT[name](optax).init(PARAMS)
    got = tx.unpack_state(state) if layout == "packed" else state
    assert_equal(jax.tree.leaves(got), jax.tree.leaves(expected))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", COMPUTED)
def test_what_is_computed_takes_small_programs(name: str, compiled: bool) -> None:
    """They are as many as there are shapes and dtypes, not as there are leaves."""

    def names(count: int) -> list[str]:
        params = dict(list(PARAMS.items())[:count])
        tx = optcc.compile(COMPUTED[name](optcc), params) if compiled else COMPUTED[name](optcc)
        jax.clear_caches()
        with compilations() as found:
            state = tx.init(params)
        assert not {id(x) for x in jax.tree.leaves(state)} & {id(x) for x in jax.tree.leaves(params)}
        return found

    assert len(names(24)) == len(names(12))
    assert "optcc_init" not in names(24)


def test_the_arrays_that_a_user_keeps_survive_a_step() -> None:
    key, rate = jax.random.key(5), jnp.float32(0.1)
    chain = optcc.chain(optcc.add_noise(0.1, 0.5, key=key), optcc.inject_hyperparams(optcc.sgd)(rate))
    params = {"w": jnp.ones(3)}
    for tx in (chain, optcc.compile(chain, params)):
        jax.jit(lambda state: state, donate_argnums=0)(tx.init(params))
        assert not jax.random.key_data(key).is_deleted()
        assert not rate.is_deleted()


def test_within_a_trace_the_state_is_computed_there() -> None:
    compiled = optcc.compile(optcc.adamw(1e-3), PARAMS)
    for tx in (compiled, optcc.adamw(1e-3)):
        assert_equal(jax.jit(tx.init)(PARAMS), tx.init(PARAMS))
        closed = jax.make_jaxpr(lambda init=tx.init: init(PARAMS))()
        others = [x for x in closed.consts if id(x) not in map(id, PARAMS.values())]
        assert max(map(np.size, others), default=0) <= 1, "no constants of the size of a parameter"
        shapes = jax.eval_shape(tx.init, PARAMS)
        assert jax.tree.map(lambda x: x.shape, shapes) == jax.tree.map(lambda x: x.shape, tx.init(PARAMS))


def test_a_moment_is_where_its_parameter_is() -> None:
    sharding = jax.sharding.NamedSharding(jax.make_mesh((1,), ("data",)), jax.sharding.PartitionSpec("data"))
    params = {"a": jax.device_put(jnp.ones(4), sharding), "b": jnp.ones(3)}
    for tx in (optcc.adam(1e-3), optcc.compile(optcc.adam(1e-3), params)):
        moments = tx.init(params)[0].mu
        assert moments["a"].sharding == sharding
        assert not moments["b"].committed
