"""How often something is compiled: once for chains that differ in numbers, never for another step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc


def leaves(count: int, dtype: Any = jnp.float32) -> Any:
    return {f"layer{i}": jax.ShapeDtypeStruct((2 + i % 3, 4), dtype) for i in range(count)}


def step_of(compiled: Any) -> Any:
    """The jitted step, with nothing packed."""
    return compiled._made.steps[False, False, False]


def test_ten_values_one_executable():
    """Chains that differ in their numbers only share one compiled step."""
    params = leaves(2)
    steps = {
        id(step_of(optcc.compile(optcc.adamw(1e-3 * (i + 1), b1=0.9 - 0.01 * i, weight_decay=0.1 / (i + 1)), params)))
        for i in range(10)
    }
    assert len(steps) == 1


def test_other_structure_other_executable():
    params = leaves(2)
    a, b = (step_of(optcc.compile(optcc.sgd(0.1, 0.9, nesterov=n), params)) for n in (False, True))
    assert a is not b


def test_no_second_compilation():
    params = jax.tree.map(lambda s: jnp.ones(s.shape, s.dtype), leaves(3))
    compiled = optcc.compile(optcc.adamw(1e-3), params)
    state = compiled.init(params)
    before = step_of(compiled)._cache_size()
    for _ in range(3):
        params, state = compiled.step(jax.tree.map(jnp.ones_like, params), state, params)
    assert step_of(compiled)._cache_size() == before + 1


def test_update_outside_jit_compiles_once():
    params = jax.tree.map(lambda s: jnp.ones(s.shape, s.dtype), leaves(3))
    compiled = optcc.compile(optcc.adamw(1e-3), params)
    state = compiled.init(params)
    for _ in range(3):
        _, state = compiled.update(params, state, params)
    executable, _ = compiled._made.update(True, None)
    assert executable.jitted._cache_size() == 1


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_hyperparameters_are_not_compiled_in(name: str):
    """The text of the compiled function has none of the numbers of the chain."""
    make = {"adamw": optcc.adamw, "lamb": optcc.lamb}[name]
    text = optcc.compile(make(0.123, b1=0.456, b2=0.789), leaves(2)).stablehlo()
    assert not any(number in text for number in ("1.230000e-01", "4.560000e-01", "7.890000e-01"))
