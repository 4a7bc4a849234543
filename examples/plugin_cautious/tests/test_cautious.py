"""The transformation beside numpy, as a pair and compiled, and what it costs."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cautious import cautious_lion

import optcc

PARAMS = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(5)}


def grads(step: int) -> Any:
    return jax.tree.map(lambda x: jnp.cos(3 * x + 2 * step), PARAMS)


def in_numpy(steps: int) -> dict[str, np.ndarray]:
    params = {k: np.asarray(v, np.float64) for k, v in PARAMS.items()}
    mu = {k: np.zeros_like(v) for k, v in params.items()}
    for step in range(steps):
        for k, g in grads(step).items():
            g = np.asarray(g, np.float64)
            sign = np.sign(0.9 * mu[k] + 0.1 * g)
            params[k] = params[k] + np.where(sign * g > 0, -0.01 * sign, 0.0)
            mu[k] = 0.99 * mu[k] + 0.01 * g
    return params


@pytest.mark.parametrize("backend", ["native", "stablehlo"])
def test_compiled_as_in_numpy(backend: str):
    opt = optcc.compile(cautious_lion(0.01), PARAMS, backend=backend)
    params, state = jax.tree.map(jnp.copy, PARAMS), opt.init(PARAMS)
    for step in range(5):
        params, state = opt.step(grads(step), state, params)
    for k, expected in in_numpy(5).items():
        np.testing.assert_allclose(params[k], expected, rtol=1e-5)


def test_the_pair_as_in_numpy():
    tx = cautious_lion(0.01)
    params, state = PARAMS, tx.init(PARAMS)
    for step in range(5):
        updates, state = tx.update(grads(step), state, params)
        params = optcc.apply_updates(params, updates)
    for k, expected in in_numpy(5).items():
        np.testing.assert_allclose(params[k], expected, rtol=1e-5)


def test_one_sweep_in_native_code():
    text = str(optcc.compile(cautious_lion(0.01), {"w": jnp.ones((64, 64))}).report())
    assert re.search(r"sweeps: +1\n", text)
    assert "bytes/parameter: 20.0, floor 20.0" in text
    assert "1 of 1 sweeps native" in text
