"""Counts that do not depend on the machine: sweeps, ops, aliases, temporaries, kernels, compilations."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.params import load_params
from optcc.report import cost_of
from optcc.runtime.stages import function_of
from tests.trees import matrices_only

CHAINS = {
    "sgd": (optcc.sgd(0.1), 1, 12),
    "momentum": (optcc.sgd(0.1, 0.9), 1, 20),
    "adam": (optcc.adam(1e-3), 1, 28),
    "adamw": (optcc.adamw(1e-3), 1, 28),
    "adamw_mask": (optcc.adamw(1e-3, mask=matrices_only), 1, 28),
    "lion": (optcc.lion(1e-4), 1, 20),
    "rmsprop": (optcc.rmsprop(1e-3), 1, 20),
    "clip_adamw": (optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(3e-4)), 2, 32),
    "lamb": (optcc.lamb(1e-3), 2, 40),
    "adagrad": (optcc.adagrad(1e-3), 1, 20),
    "adabelief": (optcc.adabelief(1e-3), 1, 28),
    "yogi": (optcc.yogi(1e-3), 1, 28),
    "amsgrad": (optcc.amsgrad(1e-3), 1, 36),
    "radam": (optcc.radam(1e-3), 1, 28),
    "adamaxw": (optcc.adamaxw(1e-3), 1, 28),
    "novograd": (optcc.novograd(1e-3), 2, 24),
    "lars": (optcc.lars(1e-3), 2, 28),
    "fromage": (optcc.fromage(1e-3), 2, 20),
    "clip_lamb": (optcc.chain(optcc.clip_by_global_norm(1.0), optcc.lamb(1e-3)), 3, 44),
}
"""Chain, sweeps, and bytes moved for each float32 parameter."""
chains = pytest.mark.parametrize("name", CHAINS)


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return load_params("gpt2")


@chains
def test_sweeps_and_bytes(name: str, gpt2: Any):
    tx, sweeps, bytes_per_parameter = CHAINS[name]
    compiled = optcc.compile(tx, gpt2)
    cost = cost_of(function_of(compiled.staged.program))
    assert compiled.ir("sweeps").count("optim.sweep writes") == len(cost.sweeps) == sweeps
    assert cost.per_parameter(cost.bytes) == bytes_per_parameter
    assert not any(sweep.fresh for sweep in cost.sweeps), "a sweep writes an array of its own"
    assert cost.parameters == sum(x.size for x in jax.tree.leaves(gpt2)) == 124_439_808


@chains
def test_in_place_on_gpt2(name: str, gpt2: Any):
    """Every buffer of state and parameters is reused, and no temporary has the size of a parameter."""
    compiled = optcc.compile(CHAINS[name][0], gpt2)
    stats = compiled.executable.memory_analysis()
    assert stats.alias_size_in_bytes == compiled.donated_bytes
    assert stats.temp_size_in_bytes < 0.01 * 4 * 124_439_808
    hlo = compiled.hlo()
    entry = hlo[hlo.index("\nENTRY ") :]
    assert "f32[50257,768]{1,0} copy(" not in entry


def test_one_kernel_for_each_array_stored(gpt2: Any):
    """XLA:CPU makes a loop for each array; adamw's is no more than that, but for a few step-level scalars."""
    stats = optcc.compile(optcc.sgd(0.1), gpt2)
    assert stats.hlo().count(" fusion(") <= 148 + 8


def leaves(count: int, dtype: Any = jnp.float32) -> Any:
    return {f"layer{i}": jax.ShapeDtypeStruct((2 + i % 3, 4), dtype) for i in range(count)}


@chains
def test_size_does_not_depend_on_leaves(name: str, gpt2: Any):
    """4 leaves, gpt2's 148, or 4,000: the same ops."""
    tx = CHAINS[name][0]
    few = dict(list(gpt2.items())[:3] + list(gpt2.items())[-1:]) if isinstance(gpt2, dict) else leaves(4)

    def ops(params: Any) -> list[str]:
        module = optcc.compile(tx, params).staged.module("sweeps")
        return [op.name for op in module.walk() if op.name != "optim.leaves"]

    if name == "adamw_mask":  # needs both kinds of leaves, as gpt2 has
        few = leaves(2) | {"b": jax.ShapeDtypeStruct((3,), jnp.float32)}
        many = leaves(4_000) | {"b": jax.ShapeDtypeStruct((3,), jnp.float32)}
    else:
        many = leaves(4_000)
    assert ops(few) == ops(gpt2) == ops(many)


def step_of(compiled: Any) -> Any:
    """The jitted step, with nothing packed."""
    return compiled._steps[False, False, False]


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
    executable, _ = compiled._update(True, None)
    assert executable.jitted._cache_size() == 1


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_hyperparameters_are_not_compiled_in(name: str):
    """The text of the compiled function has none of the numbers of the chain."""
    make = {"adamw": optcc.adamw, "lamb": optcc.lamb}[name]
    text = optcc.compile(make(0.123, b1=0.456, b2=0.789), leaves(2)).stablehlo()
    assert not any(number in text for number in ("1.230000e-01", "4.560000e-01", "7.890000e-01"))
