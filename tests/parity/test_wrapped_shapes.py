"""Every wrapper around every row of the table: it can be built, and its state and updates keep shapes and dtypes.

Nothing runs: shapes only. Slots that hold one number a leaf, or a bool an element, meet leaf sets that are not the
parameters' under `flatten` and `split_real_and_imaginary`, and empty ones under masks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc import contrib
from tests.table import TABLE, Row
from tests.trees import RAGGED

Wrapper = Callable[[Any], Any]


def nothing(tree: Any) -> Any:
    return jax.tree.map(lambda _: False, tree)


def matrices(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, tree)


def by_rank(tree: Any) -> Any:
    return jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "other", tree)


WRAPPERS: dict[str, Wrapper] = {
    "flatten": optcc.flatten,
    "split": contrib.split_real_and_imaginary,
    "split_masked": lambda tx: contrib.split_real_and_imaginary(optcc.masked(tx, matrices)),
    "flatten_masked_nothing": lambda tx: optcc.flatten(optcc.masked(tx, nothing)),
    "masked_nothing": lambda tx: optcc.masked(tx, nothing),
    "masked_flatten": lambda tx: optcc.masked(optcc.flatten(tx), matrices),
    "multi_steps": lambda tx: optcc.MultiSteps(tx, 2).gradient_transformation(),
    "multi_steps_flatten": lambda tx: optcc.MultiSteps(optcc.flatten(tx), 2).gradient_transformation(),
    "apply_if_finite": lambda tx: optcc.apply_if_finite(tx, 3),
    "apply_if_finite_flatten": lambda tx: optcc.apply_if_finite(optcc.flatten(tx), 3),
    "maybe": lambda tx: optcc.conditionally_transform(tx, lambda step: step < 3),
    "partition": lambda tx: optcc.partition({"matrix": tx, "other": optcc.flatten(tx)}, by_rank),
    "chain_twice": lambda tx: optcc.chain(tx, optcc.flatten(tx)),
    "mechanize": contrib.mechanize,
    "lookahead_of_flatten": lambda tx: optcc.lookahead(optcc.flatten(tx), 3, 0.5),
}
EVERYDAY = {"flatten", "split", "flatten_masked_nothing"}

IN_GROUPS = {"masked", "masked_nested", "multi_transform", "multi_transform_prefix", "wrappers_nested"}
"""Rows that keep more of some leaves than of others; `split` cannot part its pairs so (docs/status.md)."""

ROWS = [row for row in TABLE if RAGGED in row.leaves and row.inputs == "arrays" and not row.examples]
CASES = [
    pytest.param(row, name, id=f"{name}-{row.name}", marks=[] if name in EVERYDAY else [pytest.mark.exhaustive])
    for name in WRAPPERS
    for row in ROWS
    if not (name.startswith("split") and row.name in IN_GROUPS)
]
PARAMS = {"a": (2, 3), "b": (4,), "c": (), "d": (3, 2)}


def shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@pytest.mark.parametrize(("row", "name"), CASES)
def test_wrapped_rows_keep_shapes(row: Row, name: str):
    """`init` and `update` build under each wrapper; the state comes back as `init` made it, updates in their shapes."""
    tx = WRAPPERS[name](row.make(optcc))
    params = {k: jax.ShapeDtypeStruct(shape, jnp.float32) for k, shape in PARAMS.items()}
    if name == "lookahead_of_flatten":
        params = optcc.LookaheadParams(params, params)
    grads = params.fast if isinstance(params, optcc.LookaheadParams) else params
    state = jax.eval_shape(tx.init, params)
    extra = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, row.extra(0)))
    updates, new_state = jax.eval_shape(lambda g, s, p, e: tx.update(g, s, p, **e), grads, state, params, extra)
    assert shapes(new_state) == shapes(state)
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, params)
