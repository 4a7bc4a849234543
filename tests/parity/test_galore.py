"""GaLore beside Optax: projections from singular vectors, over another optimizer."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import optcc
from tests.parity.states import same_structure
from tests.parity.trajectories import same
from tests.trees import Leaves

LEAVES = Leaves("matrices", {"tall": (9, 4), "wide": (3, 11), "small": (2, 2), "b": (5,), "k": (2, 3, 4), "s": ()})


def numbers(lib: Any) -> Any:
    n = lib.contrib.GaLoreDimensionNumbers
    return {"tall": n(1, 0), "wide": None, "small": n(), "b": None, "k": n((2, 0), 1), "s": None}


CASES = {
    "default": lambda lib: lib.contrib.galore(0.1, 3, 4, 0.7, weight_decay=0.05),
    "inner": lambda lib: lib.contrib.galore(
        0.1,
        2,
        3,
        base_optimizer=lib.chain(lib.clip_by_global_norm(0.5), lib.trace(0.7)),
        weight_dimension_numbers=numbers(lib),
    ),
    "masked": lambda lib: lib.masked(
        lib.contrib.scale_by_galore(2, 2), lambda params: jax.tree.map(lambda x: x.ndim != 1, params)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_six_steps_equal_optax(name: str):
    """The pair, and the compiled step, over two changes of the projections."""
    ours, theirs = (CASES[name](lib) for lib in (optcc, optax))
    params = expected_params = LEAVES.fill(0)
    state, expected_state = ours.init(params), theirs.init(params)
    same_structure(state, expected_state)
    opt, stepped = optcc.compile(ours, params), jax.tree.map(jnp.copy, params)
    stepped_state = opt.init(params)
    update, expected_update = jax.jit(ours.update), jax.jit(theirs.update)
    for step in range(6):
        grads = LEAVES.fill(step + 1)
        updates, state = update(grads, state, params)
        expected, expected_state = expected_update(grads, expected_state, expected_params)
        params = optcc.apply_updates(params, updates)
        expected_params = optax.apply_updates(expected_params, expected)
        stepped, stepped_state = opt.step(grads, stepped_state, stepped)
    same((params, state), (expected_params, expected_state), 1e-4, name)
    same((stepped, stepped_state), (params, state), 1e-4, f"{name} compiled")


def test_bfloat16_keeps_its_dtypes():
    tx, params = CASES["default"](optcc), LEAVES.fill(0, jnp.bfloat16)
    state = tx.init(params)
    updates, new = tx.update(LEAVES.fill(1, jnp.bfloat16), state, params)
    assert jax.tree.map(lambda x: x.dtype, (updates, new)) == jax.tree.map(lambda x: x.dtype, (params, state))


def test_errors():
    with pytest.raises(TypeError, match="`rank` must be an int, got float"):
        optcc.contrib.galore(0.1, 2.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`rank` must be positive, got 0"):
        optcc.contrib.galore(0.1, 0)
    n = optcc.contrib.GaLoreDimensionNumbers
    for given, shape, what in (
        ([n()], (3,), "rank >= 2, got shape"),
        ([n(0, -2)], (2, 3), "must be disjoint"),
        ([n(0, 1)], (2, 3, 4), "All axes must be specified"),
    ):
        with pytest.raises(ValueError, match=what):
            optcc.contrib.scale_by_galore(weight_dimension_numbers=given).init([jnp.ones(shape)])
