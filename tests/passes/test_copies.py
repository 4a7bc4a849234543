"""States that are an argument as it is, such as the previous gradient: a sweep stores them, in place."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.report import cost_of
from optcc.runtime import native
from tests.trees import matrices_only

PARAMS = {"w": jax.ShapeDtypeStruct((512, 256), jnp.float32), "b": jax.ShapeDtypeStruct((256,), jnp.float32)}
BYTES = sum(4 * x.size for x in PARAMS.values())
CHAINS = {
    "alone": (optcc.optimistic_gradient_descent(1e-2), 1, 20),
    "in_parts": (
        optcc.chain(
            optcc.scale_by_optimistic_gradient(), optcc.add_decayed_weights(1e-3, matrices_only), optcc.scale(-0.1)
        ),
        1,
        20,
    ),
    "two_sweeps": (optcc.chain(optcc.scale_by_optimistic_gradient(), optcc.clip_by_global_norm(1.0)), 2, 28),
}
"""Chain, sweeps, and bytes moved for each float32 parameter."""
BACKENDS = [
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]


@pytest.mark.parametrize("layout", ["tree", "packed"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CHAINS)
def test_no_temporary_for_the_previous_gradient(name: str, backend: str, layout: str):
    tx, sweeps, bytes_per_parameter = CHAINS[name]
    compiled = optcc.compile(tx, PARAMS, backend=backend, layout=layout)
    cost = cost_of(compiled.staged.program.step.op)
    assert (len(cost.sweeps), cost.per_parameter(cost.bytes)) == (sweeps, bytes_per_parameter)
    assert not any(sweep.fresh for sweep in cost.sweeps), "a sweep writes an array of its own"
    stats = compiled.executable.memory_analysis()
    assert stats.alias_size_in_bytes == compiled.donated_bytes
    # XLA of jax 0.12 takes such a stored argument out of its loop again and copies it.
    if backend == "native" or jax.__version_info__ < (0, 12):
        assert stats.temp_size_in_bytes < 0.01 * BYTES
