"""Gradients of single examples made into one update, against Optax and numpy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc

RNG = np.random.default_rng(12)
PARAMS: Any = {"a": jnp.ones((2, 3)), "b": jnp.float32(0.5)}
STEPS: Any = [
    {"a": jnp.asarray(RNG.normal(size=(4, 2, 3)), jnp.float32), "b": jnp.asarray(RNG.normal(size=4), jnp.float32)}
    for _ in range(4)
]


def run(lib: Any, make: Any, steps: Any = STEPS) -> list[Any]:
    tx = make(lib, lib.experimental.aggregating)
    state, found = tx.init(PARAMS), []
    update = jax.jit(tx.update)
    for grads in steps:
        updates, state = update(grads, state, PARAMS)
        found.append((updates, jax.tree.leaves(state)))
    return found


CASES: dict[str, Any] = {
    "average": lambda lib, agg: agg.process(lib.identity(), agg.average_per_element_updates(0), lib.adam(0.1)),
    "over_calls": lambda lib, agg: agg.process(
        lib.clip(0.5), agg.average_incrementally_updates(0, 2), lib.sgd(0.1, momentum=0.9)
    ),
    "accumulate": lambda lib, agg: agg.accumulate_avg_updates(3),
    "accumulate_one": lambda lib, agg: agg.accumulate_avg_updates(1),
    "moments": lambda lib, agg: agg.add_mean_variance_to_opt(lib.adam(0.1), 0.8),
    "moments_over_calls": lambda lib, agg: agg.add_mean_variance_to_opt(lib.sgd(0.1), 0.8, 0, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_equals_optax(name: str):
    steps = [jax.tree.map(lambda g: g[0], s) for s in STEPS] if name.startswith("accumulate") else STEPS
    for ours, theirs in zip(run(optcc, CASES[name], steps), run(optax, CASES[name], steps), strict=True):
        assert len(ours[1]) == len(theirs[1])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)


def test_moments_of_a_batch():
    agg = optcc.experimental.aggregating
    tx = agg.add_mean_variance_to_opt(optcc.sgd(1.0), 0.9, accumulation_steps=2)
    assert isinstance(tx, agg.Aggregator)
    state = tx.init(PARAMS)
    for grads in STEPS[:2]:
        updates, state = tx.update(grads, state, PARAMS)
    both = jax.tree.map(lambda *g: np.concatenate(g), *STEPS[:2])
    mean, variance = agg.get_unbiased_mean_and_variance_ema(state)
    for name in ("a", "b"):
        np.testing.assert_allclose(mean[name], both[name].mean(0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(variance[name], both[name].var(0, ddof=1), rtol=1e-4)
        np.testing.assert_allclose(updates[name], -both[name].mean(0), rtol=1e-4, atol=1e-6)


def test_refused():
    agg = optcc.experimental.aggregating
    with pytest.raises(ValueError, match="must be 1 or more, got 0"):
        agg.accumulate_avg_updates(0)
    with pytest.raises(ValueError, match=r"same batch size, got \[2, 3\]"):
        agg.get_batch_size_from_per_elt_updates([jnp.ones(2), jnp.ones(3)], 0)
    assert agg.get_batch_size_from_per_elt_updates([jnp.ones((2, 3, 5))], (0, 1)) == 6
    with pytest.raises(ValueError, match="must have a PerElementMeanAndVarianceEMAState"):
        agg.get_unbiased_mean_and_variance_ema(())
    tx = agg.track_per_element_mean_and_variance_with_ema()
    with pytest.raises(TypeError, match="needs sum_sq_diff_grads and sample_size"):
        tx.update(PARAMS, tx.init(PARAMS))
