"""What every row of the parity table must keep, whatever its formula: structure, dtypes, JAX's transformations.

The tree is small and the work is put into few compiled functions, for the sake of XLA's compile times.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.table import TABLE, Row
from tests.table.row import one_in, secondary
from tests.trees import RAGGED, assert_relative

SMALL = {"w": (2, 3), "s": ()}
STEPS = 3
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Options with which XLA:CPU compiles in less time: these functions run once."""

ROWS = [row for row in TABLE if RAGGED in row.leaves and row.inputs == "arrays" and row.mixed]
"""Those that take any tree, of any dtypes."""
secondary_rows = pytest.mark.parametrize("row", list(map(secondary, ROWS)))


def tree(seed: int, dtype: Any = jnp.float32, batch: tuple[int, ...] = ()) -> Any:
    """Random values for the small tree, stacked along new first axes."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: jnp.asarray(rng.normal(size=(*batch, *shape)), dtype),
        SMALL,
        is_leaf=lambda x: isinstance(x, tuple),
    )


def avals(values: Any) -> Any:
    """Structure, shapes, dtypes and weak types: what JAX compiles a function for."""
    leaves, structure = jax.tree.flatten(values)
    return structure, [(x.shape, x.dtype, getattr(x, "weak_type", False)) for x in leaves]


IN_DTYPES = [pytest.param(row, jnp.float32, id=f"{row.name}-float32") for row in ROWS] + [
    secondary(row, jnp.bfloat16, name=f"{row.name}-bfloat16") for row in ROWS
]


@pytest.mark.parametrize(("row", "dtype"), IN_DTYPES)
def test_structure_and_dtypes_are_kept(row: Row, dtype: Any):
    """The state keeps what `init` made, so that the second step is no second compilation; the updates keep the tree."""
    tx = row.make(optcc)
    params, grads = tree(0, dtype), tree(1, dtype)
    state = tx.init(params)
    updates, new_state = jax.eval_shape(tx.update, grads, state, params)
    assert avals(new_state) == avals(state)
    assert jax.tree.map(jnp.shape, updates) == jax.tree.map(jnp.shape, grads)


@secondary_rows
def test_unknown_extra_arguments_change_nothing(row: Row):
    """An argument that no transformation of the chain asks for is accepted, and the program is the same."""
    tx = row.make(optcc)
    params, grads = tree(0), tree(1)
    state = tx.init(params)

    def program(**extra_args: Any) -> str:
        return str(jax.make_jaxpr(lambda g, s, p: tx.update(g, s, p, **extra_args))(grads, state, params))

    assert program(asked_for_by_none=jnp.ones(2)) == program()


def loss(tx: Any, grads: Any, params: Any) -> Any:
    """A smooth function of the updates of some steps, which `scan` takes, and these updates themselves."""

    def step(state: Any, g: Any) -> Any:
        updates, state = tx.update(g, state, params)
        return state, updates

    _, updates = jax.lax.scan(step, tx.init(params), grads)
    return sum(jnp.sum(jnp.sin(u)) for u in jax.tree.leaves(updates)), updates


def low_precision(state: Any) -> bool:
    """Whether the state has a slot below float32: Optax multiplies in its dtype, optcc rounds once at the store."""
    return any(x.dtype == jnp.bfloat16 for x in jax.tree.leaves(state))


@pytest.mark.parametrize("row", one_in(2, map(secondary, ROWS)))
def test_jit_scan_vmap_and_grad(row: Row):
    """One function with all four equals Optax's: the updates, and the gradients for the gradients and parameters.

    Where Optax's gradient is no number, as in radam's first steps, there is nothing to compare.
    """
    grads, params = tree(1, batch=(2, STEPS)), tree(0, batch=(2,))

    def run(lib: Any) -> Any:
        tx = row.make(lib)
        f = jax.vmap(jax.value_and_grad(lambda g, p: loss(tx, g, p), argnums=(0, 1), has_aux=True))
        return jax.jit(f, compiler_options=QUICK)(grads, params)

    ((_, updates), gradients), ((_, expected), expected_gradients) = run(optcc), run(optax)
    narrow = low_precision(row.make(optcc).init(tree(0)))
    assert_relative(updates, expected, rtol=2e-2 if narrow else 2e-5, what=f"{row.name}: updates")
    assert_gradients_close(gradients, expected_gradients, narrow=narrow, what=row.name)


def assert_gradients_close(got: Any, expected: Any, *, narrow: bool, what: str) -> None:
    """Equal where `expected` is a number, up to a small part of the largest: a scalar that a chain normalizes has a
    gradient of its own that is nothing but a rounding error."""
    known = [np.isfinite(y) for y in jax.tree.leaves(expected)]
    largest = max(
        np.max(np.abs(y), where=k, initial=0.0) for y, k in zip(jax.tree.leaves(expected), known, strict=True)
    )
    rtol, part = (5e-2, 5e-2) if narrow else (1e-3, 1e-5)
    for (path, x), y, k in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), known, strict=True):
        where = f"{what}: gradient{jax.tree_util.keystr(path)}"
        np.testing.assert_allclose(
            np.where(k, x, 0.0), np.where(k, y, 0.0), rtol=rtol, atol=part * largest, err_msg=where
        )


@secondary_rows
def test_compiled_step_compiles_once(row: Row):
    """The compiled step gives the pair's parameters and state, and the second step runs the executable of the first."""
    tx = row.make(optcc)
    params = tree(0)
    compiled = optcc.compile(tx, params)
    state, expected_state = compiled.init(params), tx.init(params)
    expected_params = params = jax.tree.map(jnp.copy, params)
    sizes: list[int] = []
    for step in range(2):
        updates, expected_state = tx.update(tree(step + 1), expected_state, expected_params)
        expected_params = optcc.apply_updates(expected_params, updates)
        params, state = compiled.step(tree(step + 1), state, jax.tree.map(jnp.copy, params))
        sizes.append(compiled._made.steps[False, False, False, True]._cache_size())
    assert sizes[0] == sizes[1]
    rtol = 2e-2 if row.discrete or low_precision(state) else 2e-5
    assert_relative((params, state), (expected_params, expected_state), rtol=rtol, what=row.name)


@secondary_rows
def test_float64(row: Row):
    """With 64-bit types enabled: Optax's dtypes and, but for slots of another dtype, its numbers to float64."""
    with jax.enable_x64(True):
        ours, theirs = row.make(optcc), row.make(optax)
        params = tree(0, jnp.float64)
        state, expected_state = ours.init(params), theirs.init(params)
        for step in range(2):
            grads = tree(step + 1, jnp.float64)
            updates, state = ours.update(grads, state, params)
            expected, expected_state = theirs.update(grads, expected_state, params)
            narrow = min(
                (jnp.finfo(x.dtype).bits for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)),
                default=64,
            )
            rtol = {64: 1e-12, 32: 1e-5, 16: 2e-2}[narrow]
            assert_relative((updates, state), (expected, expected_state), rtol=rtol, what=row.name)


@pytest.mark.parametrize("row", [row for row in ROWS if row.placeholders], ids=lambda row: row.name)
def test_tree_map_params(row: Row):
    """Which leaves of the state are like the parameters is what Optax finds."""

    def labelled(lib: Any) -> str:
        tx = row.make(lib)
        state = tx.init(tree(0))
        return str(lib.tree_map_params(tx, lambda x: "params", state, transform_non_params=lambda x: "other"))

    assert labelled(optcc).replace("ScaleByTrustRatioState", "EmptyState") == labelled(optax)
