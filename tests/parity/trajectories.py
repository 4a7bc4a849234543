"""A pair and its compiled step, left to themselves beside Optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import optcc
from tests.parity.states import same_structure
from tests.table import Row


def is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def plain(tree: Any) -> Any:
    """Keys as their data."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)


def same(got: Any, expected: Any, rtol: float, what: str) -> None:
    """Dtypes, shapes, integers, bools, key data and NaN equal; numbers within `rtol` of the leaf's largest value."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(plain(got)), jax.tree.leaves(plain(expected)), strict=True)
    for (path, x), y in pairs:
        where = f"{what}{jax.tree_util.keystr(path)}"
        assert (x.dtype, x.shape) == (y.dtype, y.shape), where
        wide = np.complex128 if jnp.iscomplexobj(x) else np.float64
        a, b = np.asarray(x, wide), np.asarray(y, wide)
        limit = rtol if jnp.issubdtype(x.dtype, jnp.inexact) else 0.0
        scale = float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * scale, err_msg=where)


def follow(
    row: Row,
    params: Any,
    grads_of: Callable[[int], Any],
    *,
    steps: int,
    to_theirs: Callable[[Any], Any] = lambda params: params,
) -> None:
    """The pair and the compiled step stay with Optax, in numbers, dtypes and state structure."""
    ours, theirs = row.make(optcc), row.make(optax)
    update, expected_update = jax.jit(ours.update), jax.jit(theirs.update)
    expected_params = to_theirs(params)
    state, expected_state = ours.init(params), theirs.init(expected_params)
    if not row.opaque:
        same_structure(state, expected_state)
    same(state, expected_state, 0.0, f"{row.name} init")
    opt = optcc.compile(ours, params, examples=max(row.examples, 1))
    stepped, stepped_state = jax.tree.map(jnp.copy, params), opt.init(params)
    assert jax.tree.structure(stepped_state) == jax.tree.structure(state)
    for step in range(steps):
        grads, extra = grads_of(step), row.extra(step)
        updates, state = update(grads, state, params, **extra)
        expected, expected_state = expected_update(grads, expected_state, expected_params, **extra)
        assert [x.dtype for x in jax.tree.leaves(updates)] == [x.dtype for x in jax.tree.leaves(expected)]
        params = optcc.apply_updates(params, updates)
        expected_params = optax.apply_updates(expected_params, expected)
        stepped, stepped_state = opt.step(grads, stepped_state, stepped, **extra)
    narrow = any(x.dtype == jnp.bfloat16 for x in jax.tree.leaves((params, state)))
    rtol = 4e-2 if narrow else 2e-5
    same(params, expected_params, rtol, row.name)
    same(state, expected_state, rtol, row.name)
    same(stepped, params, rtol, f"{row.name} compiled")
    same(stepped_state, state, rtol, f"{row.name} compiled")
