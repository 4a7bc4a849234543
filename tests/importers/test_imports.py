"""Optax's transformations imported into the IR: the same numbers, the same states, our own sweeps and bytes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import optcc
from tests.importers.chains import CHAINS, cost, follow, gradients, opaque_parts, same
from tests.trees import ragged, widen

NAMES = list(CHAINS)


@pytest.mark.parametrize("name", NAMES)
def test_ten_steps_equal_the_original(name: str):
    compiled = follow(CHAINS[name](optax), ragged(0), gradients)
    assert not opaque_parts(compiled)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "lion"])
@pytest.mark.parametrize("mixed", [False, True], ids=["bfloat16", "mixed"])
def test_narrow_leaves_are_the_original_in_float32_rounded_once(name: str, mixed: bool):
    """As with our own transformations: Optax's dtypes, and the numbers of the formula in float32."""
    tx = CHAINS[name](optax)
    dtype = jnp.float32 if mixed else jnp.bfloat16
    params, grads = ragged(0, dtype, mixed=mixed), ragged(1, dtype, mixed=mixed)
    compiled = optcc.compile(tx, params)
    state = tx.init(params)
    same(compiled.init(params), state, 0.0)
    like = jax.eval_shape(tx.update, grads, state, params)
    wanted = jax.tree.map(lambda x, y: x.astype(y.dtype), tx.update(*widen((grads, state, params))), like)
    same(compiled.update(grads, state, params), wanted, 1e-2)
    assert not opaque_parts(compiled)


@pytest.mark.parametrize("name", NAMES)
def test_costs_what_our_own_definition_costs(name: str):
    params = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), ragged(0))
    got, own = cost(CHAINS[name](optax), params), cost(CHAINS[name](optcc), params)
    assert (len(got.sweeps), got.bytes, got.barriers) == (len(own.sweeps), own.bytes, ())


def test_the_size_of_the_ir_does_not_depend_on_the_number_of_leaves():
    def lines(count: int) -> int:
        params = {f"w{i:03}": jax.ShapeDtypeStruct((4, 3 + i), jnp.float32) for i in range(count)}
        compiled = optcc.compile(CHAINS["clip"](optax), params)
        return len(compiled.ir("optim").splitlines())

    assert lines(3) == lines(40)


def test_states_interchange_with_the_original():
    """A state of either may be continued by the other."""
    tx: Any = optax.adamw(0.1)
    params = ragged(0)
    compiled = optcc.compile(tx, params)
    mine, theirs = compiled.init(params), tx.init(params)
    same(mine, theirs, 0.0)
    grads = gradients(0)
    _, theirs = tx.update(grads, theirs, params)
    new, _ = compiled.step(gradients(1), jax.tree.map(jnp.copy, theirs), jax.tree.map(jnp.copy, params))
    updates, _ = tx.update(gradients(1), theirs, params)
    same(new, optax.apply_updates(params, updates), 1e-5)


def test_a_foreign_transformation_ends_no_sweep():
    params = ragged(0)
    adam: Any = optax.scale_by_adam()
    last: Any = optax.scale(-0.1)
    mixed = optcc.chain(optcc.clip(1.0), adam, optcc.add_decayed_weights(0.1), last)
    compiled = follow(mixed, params, gradients)
    assert not opaque_parts(compiled)
    assert len(cost(mixed, params).sweeps) == 1


def test_what_is_not_imported_is_called_and_the_reason_reported():
    params = ragged(0)
    tx: Any = optax.stateless_with_tree_map(lambda g, _: jnp.cumsum(g) * 1.0)
    flat = jax.tree.map(jnp.ravel, params)
    compiled = optcc.compile(tx, flat)
    assert list(opaque_parts(compiled)) == ["update"]
    assert "cumsum" in opaque_parts(compiled)["update"]
    assert "test_imports.py" in opaque_parts(compiled)["update"]
    report = str(compiled.report())
    assert "opaque call 'update'" in report
    assert "cumsum" in report
