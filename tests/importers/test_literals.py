"""Numbers of a foreign function are hyperparameters: other values, the same executable."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.runtime.executables import EXECUTABLES
from tests.importers.chains import opaque_parts, same
from tests.trees import ragged

RATES = [10.0**-k for k in range(1, 6)] + [0.3 * 10.0**-k for k in range(1, 6)]


def chain(lib: Any, rate: float, decay: float = 1e-4) -> Any:
    return lib.chain(lib.clip_by_global_norm(0.7), lib.adamw(rate, 0.85, 0.95, weight_decay=decay))


def test_ten_learning_rates_compile_once():
    params, grads = ragged(0), ragged(1)
    EXECUTABLES.clear()
    steps: set[int] = set()
    for rate in RATES:
        tx: Any = chain(optax, rate)
        compiled = optcc.compile(tx, params)
        got = compiled.step(grads, compiled.init(params), jax.tree.map(jnp.copy, params))
        updates, state = tx.update(grads, tx.init(params), params)
        same(got, (optax.apply_updates(params, updates), state), 1e-6)
        steps.add(len(EXECUTABLES))
    assert len(steps) == 1


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_changed_number_is_rounded_as_jax_rounds_it(dtype: Any):
    """Weak types and rounding are those of the trace: the result is that of a chain written with the other number."""
    params, grads = ragged(0, dtype), ragged(1, dtype)

    def make(rate: float) -> Any:
        return optax.stateless_with_tree_map(lambda g, p: g * rate + 0.1 * jnp.asarray(p))

    compiled = optcc.compile(make(0.37), params)
    (name,) = [name for name, value in compiled.hyperparams.items() if abs(value - 0.37) < 1e-2]
    changed = compiled.with_hyperparams({name: 0.71})
    wanted = optcc.compile(make(0.71), params)
    state = compiled.init(params)
    for x, y in zip(jax.tree.leaves(changed.update(grads, state, params)[0]),
                    jax.tree.leaves(wanted.update(grads, state, params)[0]), strict=True):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_their_names_values_and_places():
    compiled = optcc.compile(optcc.chain(optcc.clip(0.5), chain(optax, 3e-4, 0.02)), ragged(0))
    assert not opaque_parts(compiled)
    values = compiled.hyperparams
    assert values["0.max_delta"] == 0.5
    assert {name for name in values if name != "0.max_delta"} == {f"1.literal.{i}" for i in range(len(values) - 1)}
    # 0.7; 0.85 and 0.95 and what is left to 1; epsilon; the decay; the rate. No whole number.
    expected = [-3e-4, 1e-8, 0.02, 0.05, 0.15, 0.7, 0.85, 0.95]
    np.testing.assert_allclose(sorted(v for n, v in values.items() if n != "0.max_delta"), expected, rtol=1e-6)
    found = optcc.imported(optcc.chain(optcc.clip(0.5), chain(optax, 3e-4, 0.02)), ragged(0))
    assert {name: value for name, (value, _) in found.numbers.items()} == {
        name: value for name, value in values.items() if name != "0.max_delta"
    }
    assert all(re.fullmatch(r"\w+\.py:\d+", place) for _, place in found.numbers.values())
    assert found.is_whole
    assert not found.calls
    assert "optim.hyper" in found.ir()
    assert "imported whole" in str(found)


def test_under_x64():
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: x.astype(jnp.float64), ragged(0))
        grads = jax.tree.map(lambda x: x.astype(jnp.float64), ragged(1))
        tx: Any = chain(optax, 0.3)
        compiled = optcc.compile(tx, params)
        assert not opaque_parts(compiled)
        got = compiled.step(grads, compiled.init(params), jax.tree.map(jnp.copy, params))
        updates, state = tx.update(grads, tx.init(params), params)
        same(got, (optax.apply_updates(params, updates), state), 1e-14)


def test_vmap_over_learning_rates():
    params, grads = ragged(0), ragged(1)
    compiled = optcc.compile(chain(optax, 0.25), params)
    (name,) = [name for name, value in compiled.hyperparams.items() if value == -0.25]
    state = compiled.init(params)

    def at(rate: Any) -> Any:
        return compiled.with_hyperparams({name: -rate}).update(grads, state, params)[0]

    rates = jnp.asarray([0.25, 0.5, 0.1])
    found = jax.vmap(at)(rates)
    for i, rate in enumerate(rates):
        tx: Any = chain(optax, float(rate))
        same(jax.tree.map(lambda x, i=i: x[i], found), tx.update(grads, tx.init(params), params)[0], 1e-6)
