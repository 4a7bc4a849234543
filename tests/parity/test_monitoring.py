"""Measurements that a chain keeps in its state, beside Optax's."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.parity.trajectories import same
from tests.trees import ragged


def largest(tree: Any) -> Any:
    """A measure that is a pytree of two dtypes."""
    leaves = [x for x in jax.tree.leaves(tree) if x.size]
    return {"largest": jnp.stack([jnp.max(x) for x in leaves]), "count": jnp.int32(len(leaves))}


def chain(lib: Any) -> Any:
    return lib.chain(
        lib.clip(0.9),
        lib.snapshot("clipped", largest),
        lib.monitor({"the norm": optcc.global_norm, "average": lib.measure_with_ema(optcc.global_norm, 0.7)}),
        lib.scale_by_adam(0.8),
    )


def test_measurements_are_those_of_optax():
    """In the pair and in the compiled step, from the first update on; in the initial state ours are zeros."""
    ours, theirs, params = chain(optcc), chain(optax), ragged(0)
    state, expected_state = ours.init(params), theirs.init(params)
    same(state[1], expected_state[1], 0.0, "snapshot of the parameters")
    assert expected_state[2].measurements == {}
    assert all(float(jnp.max(jnp.abs(x))) == 0.0 for x in jax.tree.leaves(state[2].measurements))
    opt = optcc.compile(ours, params)
    _, stepped = opt.step(ragged(1), opt.init(params), jax.tree.map(jnp.copy, params))
    for step in range(4):
        updates, state = jax.jit(ours.update)(ragged(step + 1), state, params)
        expected, expected_state = jax.jit(theirs.update)(ragged(step + 1), expected_state, params)
        same((updates, state), (expected, expected_state), 1e-6, f"step {step}")
        if step == 0:
            same(stepped, state, 1e-6, "compiled")


def test_the_average_alone():
    """Outside of `monitor` the average is the new updates, whatever its structure."""
    params = ragged(0)
    ours, theirs = (lib.measure_with_ema(lambda u: {"n": optcc.global_norm(u)}, 0.7) for lib in (optcc, optax))
    got, state = ours.update(ragged(1), ours.init(params))
    expected, expected_state = theirs.update(ragged(1), theirs.init(params))
    same((got, state), (expected, expected_state), 1e-6, "ema")


def test_the_state_keeps_its_structure_under_scan():
    tx, params = chain(optcc), ragged(0)
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), *(ragged(i) for i in range(3)))
    final, _ = jax.lax.scan(lambda s, g: (tx.update(g, s, params)[1], ()), tx.init(params), grads)
    assert float(final[2].measurements["the norm"]) == pytest.approx(
        float(np.sqrt(sum(np.sum(np.clip(np.asarray(x), -0.9, 0.9) ** 2) for x in jax.tree.leaves(ragged(2)))))
    )
