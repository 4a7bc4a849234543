"""Every row of the table against Optax: numbers, state structure and dtypes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.parity.states import move, same_structure
from tests.table import TABLE, Row
from tests.table.row import one_in, secondary
from tests.trees import RAGGED, assert_close, assert_relative, ragged, widen

STEPS = 10
ROWS = [row for row in TABLE if RAGGED in row.leaves and row.inputs == "arrays" and not row.wraps]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def compare(row: Row, got: Any, expected: Any, what: str) -> None:
    if row.reduces:
        assert_relative(got, expected, rtol=1e-6, what=what)
    else:
        assert_close(got, expected, limit=4, what=what)


def jitted(tx: Any) -> Any:
    """The update, compiled by XLA as it is: Optax computes `b1**count` another way when the count is concrete."""
    return jax.jit(tx.update)


@rows
def test_each_step_equals_optax(row: Row):
    """From the same state, every step of ten gives Optax's updates and state: 4 ulps, or 1e-6 with a reduction."""
    ours, theirs = row.make(optcc), row.make(optax)
    update, wide_update = jitted(ours), jitted(theirs)
    params = ragged(0)
    state, expected_state = ours.init(params), theirs.init(params)
    same_structure(state, expected_state)
    assert_close(state, expected_state, limit=0, what="init")
    for step in range(STEPS):
        grads = ragged(step + 1)
        # A bfloat16 slot is widened first: Optax multiplies in bfloat16, optcc in float32 (see SPEC.md, numerics).
        expected, new_state = wide_update(grads, widen(expected_state), params)
        expected_state = jax.tree.map(lambda x, like: x.astype(like.dtype), new_state, expected_state)
        updates, state = update(grads, state, params)
        compare(row, updates, expected, f"{row.name} step {step}: updates")
        compare(row, state, expected_state, f"{row.name} step {step}: state")
        params = optax.apply_updates(params, expected)
        state = move(expected_state, state)


@pytest.mark.parametrize("row", list(map(secondary, ROWS)))
def test_ten_steps_equal_optax(row: Row):
    """Left to itself for ten steps, the trajectory stays with Optax's; through a bfloat16 slot less closely."""
    ours, theirs = row.make(optcc), row.make(optax)
    update, expected_update = jitted(ours), jitted(theirs)
    params = expected_params = ragged(0)
    state, expected_state = ours.init(params), theirs.init(params)
    narrow = any(x.dtype == jnp.bfloat16 for x in jax.tree.leaves(state))
    for step in range(STEPS):
        grads = ragged(step + 1)
        updates, state = update(grads, state, params)
        expected, expected_state = expected_update(grads, expected_state, expected_params)
        params = optcc.apply_updates(params, updates)
        expected_params = optax.apply_updates(expected_params, expected)
    rtol = 2e-2 if narrow else 2e-5
    assert_relative(params, expected_params, rtol=rtol, what=row.name)
    assert_relative(state, expected_state, rtol=rtol, what=row.name)


def reference(row: Row, grads: Any, state: Any, params: Any) -> tuple[Any, Any]:
    """Optax in float32 throughout, from the same bfloat16 inputs: what rounding once at each store should give."""
    return row.make(optax).update(*widen((grads, state, params)))


@pytest.mark.parametrize(
    ("row", "mixed"),
    one_in(2, [secondary(row, False, name=f"bfloat16-{row.name}") for row in ROWS])
    + [pytest.param(row, True, id=f"mixed-{row.name}") for row in ROWS],
)
def test_low_precision(row: Row, mixed: bool):
    """bfloat16 leaves: Optax's dtypes; numbers of the formula in float32, rounded once (one ulp of bfloat16)."""
    ours, theirs = row.make(optcc), row.make(optax)
    dtype = jnp.float32 if mixed else jnp.bfloat16
    params = ragged(0, dtype, mixed=mixed)
    state, expected_state = ours.init(params), theirs.init(params)
    same_structure(state, expected_state)
    assert_close(state, expected_state, limit=0, what="init")
    for step in range(3):
        grads = ragged(step + 1, dtype, mixed=mixed)
        like_updates, like_state = jax.eval_shape(theirs.update, grads, expected_state, params)
        wanted = reference(row, grads, expected_state, params)
        updates, state = ours.update(grads, state, params)
        for got, like in zip(
            jax.tree.leaves((updates, state)), jax.tree.leaves((like_updates, like_state)), strict=True
        ):
            assert (got.dtype, got.shape) == (like.dtype, like.shape), row.name
        rounded = jax.tree.map(lambda x, like: x.astype(like.dtype), wanted, (like_updates, like_state))
        if not row.discrete:
            close_in_bfloat16(updates, rounded[0], f"{row.name} step {step}: updates")
        close_in_bfloat16(state, rounded[1], f"{row.name} step {step}: state")
        params = optcc.apply_updates(params, updates)
        expected_state = move(state, expected_state)


def close_in_bfloat16(got: Any, expected: Any, what: str) -> None:
    """bfloat16 leaves within one of their ulps, the others within 1e-5."""
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        where = f"{what}{jax.tree_util.keystr(path)}"
        if x.dtype == jnp.bfloat16:
            assert_close(x, y, limit=1, what=where)
        else:
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-5, atol=1e-6, err_msg=where)


def test_lion_before_its_sign():
    """One ulp before a sign becomes a full step after it, so lion's interpolation is compared as well as its sign."""
    params = ragged(0)
    hard, theirs = optcc.scale_by_lion(0.8, 0.95), optax.scale_by_lion(0.8, 0.95)
    before = optcc.scale_by_lion(0.8, 0.95, mode="smooth", smooth_beta=1e-6)
    before_theirs = optax.scale_by_lion(0.8, 0.95, mode="smooth", smooth_beta=1e-6)
    state = hard.init(params)
    for step in range(STEPS):
        grads = ragged(step + 1)
        inside, _ = before.update(grads, state)
        expected, _ = before_theirs.update(grads, move(state, before_theirs.init(params)))
        assert_close(inside, expected, limit=4, what=f"step {step}")
        sign, new = hard.update(grads, state)
        sign_expected, _ = theirs.update(grads, move(state, theirs.init(params)))
        for u, v, x in zip(*map(jax.tree.leaves, (sign, sign_expected, inside)), strict=True):
            away = jnp.abs(x) > 1e-12
            assert bool(jnp.all(jnp.where(away, u == v, True)))
        state = new


def test_any_container_without_arrays_is_the_state_of_what_keeps_none():
    params = ragged(0)
    for state in ({}, (), None, optcc.EmptyState()):
        updates, new = optcc.scale(2.0).update(params, state)
        assert_close(updates, jax.tree.map(lambda x: 2 * x, params), limit=0)
        assert new == state
