"""Optimizers that call a function of the user's within `update`, beside Optax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import optcc
from tests.parity.states import same_structure
from tests.parity.trajectories import same
from tests.table.row import decay
from tests.trees import ragged


def loss(params: Any) -> Any:
    """Curved in another way at each element, and smooth."""
    return sum(
        jnp.sum(jnp.sin(x) + (0.5 + jnp.arange(x.size).reshape(x.shape)) * x**2) for x in jax.tree.leaves(params)
    )


grad = jax.grad(loss)


def run(tx: Any, apply: Any, steps: int, dtype: Any, **extra: Any) -> Any:
    """The parameters and the state after some steps under one jit."""
    params = ragged(0, dtype)
    state = tx.init(params)
    update = jax.jit(lambda p, s: tx.update(grad(p), s, p, **extra))
    for _ in range(steps):
        updates, state = update(params, state)
        params = apply(params, updates)
    return params, state


def sam(lib: Any, **flags: Any) -> Any:
    return lib.contrib.sam(lib.adam(decay(lib), 0.8), lib.chain(lib.contrib.normalize(), lib.sgd(0.1, 0.7)), **flags)


CASES = {
    "sam": (sam, {}),
    "sam_keeps": (lambda lib: sam(lib, sync_period=3, reset_state=False), {}),
    "sam_every_step": (lambda lib: sam(lib, sync_period=1), {}),
    "sam_opaque": (lambda lib: sam(lib, sync_period=3, opaque_mode=True), {"grad_fn": lambda p, i: grad(p)}),
    "sam_opaque_keeps": (
        lambda lib: sam(lib, opaque_mode=True, reset_state=False),
        {"grad_fn": lambda p, i: jax.tree.map(lambda x: x * (i + 0.5), grad(p))},
    ),
    "sophia": (
        lambda lib: lib.contrib.sophia(
            0.05,
            0.8,
            0.7,
            1e-3,
            0.05,
            None,
            0.3,
            0.9,
            3,
            lib.contrib.hutchinson_estimator_diag_hessian(jax.random.PRNGKey(7)),
        ),
        {"obj_fn": loss},
    ),
    "sophia_own_estimate": (
        lambda lib: lib.contrib.sophia(
            decay(lib), clip_threshold=None, gamma=2.0, update_interval=2, hessian_diagonal_fn=lib.scale_by_rss()
        ),
        {"obj_fn": loss},
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.exhaustive] if "keeps" in n or "every" in n else []) for n in CASES]
)
def test_seven_steps_equal_optax(name: str):
    make, extra = CASES[name]
    params, state = run(make(optcc), optcc.apply_updates, 7, jnp.float32, **extra)
    expected_params, expected_state = run(make(optax), optax.apply_updates, 7, jnp.float32, **extra)
    same_structure(state, expected_state)
    same((params, state), (expected_params, expected_state), 2e-5, name)


@pytest.mark.parametrize("name", ["sam_opaque", "sophia"])
def test_bfloat16_keeps_its_dtypes(name: str):
    make, extra = CASES[name]
    tx, params = make(optcc), ragged(0, jnp.bfloat16)
    state = tx.init(params)
    new_params, new_state = run(tx, optcc.apply_updates, 2, jnp.bfloat16, **extra)
    assert jax.tree.map(lambda x: x.dtype, (new_params, new_state)) == jax.tree.map(lambda x: x.dtype, (params, state))


def test_sam_is_compiled_by_turns():
    """Without functions it runs as any other chain, in one sweep more than its optimizers."""
    tx, params = sam(optcc), ragged(0)
    opt = optcc.compile(tx, params)
    state, stepped = opt.init(params), jax.tree.map(jnp.copy, params)
    for _ in range(3):
        stepped, state = opt.step(grad(stepped), state, stepped)
    same((stepped, state), run(tx, optcc.apply_updates, 3, jnp.float32), 2e-5, "sam")


def test_the_hessian_of_a_quadratic_is_exact():
    scales = jnp.array([1.0, -2.0, 5.0])
    tx = optcc.contrib.hutchinson_estimator_diag_hessian()
    found, state = tx.update(None, tx.init(scales), scales, obj_fn=lambda p: jnp.sum(scales * p**2))
    same(found, 2 * scales, 1e-6, "diagonal")
    assert (state.key != tx.init(scales).key).any()


def test_what_is_missing_is_named():
    params = jnp.ones(3)
    sophia, hutchinson = optcc.contrib.sophia(0.1), optcc.contrib.hutchinson_estimator_diag_hessian()
    with pytest.raises(ValueError, match="obj_fn must be provided"):
        sophia.update(params, sophia.init(params), params)
    with pytest.raises(ValueError, match="params must be provided"):
        hutchinson.update(params, hutchinson.init(params), None)
    tx = sam(optcc, opaque_mode=True)
    with pytest.raises(ValueError, match="grad_fn must be provided when opaque_mode=True"):
        tx.update(params, tx.init(params), params)
    with pytest.raises(ValueError, match="must be >= 1"):
        sam(optcc, sync_period=0)
    with pytest.raises(NotImplementedError, match="prints nothing"):
        optcc.contrib.sophia(0.1, verbose=True)
