"""Step-level numbers against the formulas in exact arithmetic, where float32 would lose them; and norms of zero."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.runtime import native
from tests.exact_formulas import adam, power, radam, trajectory, updater

ULP = 2.0**-23
BACKENDS = [
    "pair",
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]
backends = pytest.mark.parametrize("backend", BACKENDS)


def at_count(state: Any, count: int) -> Any:
    """The state with its count replaced."""
    return state._replace(count=jnp.int32(count))


DECAYS = [0.0, 1e-9, 0.3, 0.9, 0.999, 1 - 1e-5, 1 - 1e-7, 1 - 1e-9, -0.4, -0.999]
COUNTS = [1, 2, 3, 6, 7, 50, 693, 10_001, 10_000_000]


@backends
@pytest.mark.parametrize("decay", DECAYS)
def test_bias_correction(decay: float, backend: str) -> None:
    """What is divided by; the average is set, so that nothing else is measured."""
    params = {"w": jnp.ones(4)}
    tx = optcc.ema(decay)
    update, state = updater(tx, params, backend), tx.init(params)
    for count in COUNTS:
        old = at_count(state._replace(ema=params), count - 1)
        updates, new = update(params, old, params)
        found = float(new.ema["w"][0]) / float(updates["w"][0])
        assert found == pytest.approx(power(decay, count), rel=6 * ULP), count


def test_bias_correction_of_a_decay_that_is_an_array() -> None:
    """It is what float32 has of it, and differentiable, at 0 and at 1 step, too."""
    params = jnp.ones(())

    def corrected(decay: jax.Array, count: int) -> Any:
        tx = optcc.ema(decay)
        return tx.update(params, at_count(tx.init(params)._replace(ema=params), count - 1), params)[0]

    for decay in (0.0, 0.3, 0.999, 0.9999999, -0.5):
        exact = float(np.float32(decay))
        for count in (1, 2, 693):
            value, slope = jax.value_and_grad(corrected)(jnp.float32(decay), count)
            assert 1 / float(value) == pytest.approx(power(exact, count), rel=6 * ULP)
            assert np.isfinite(slope)
    slope = jax.grad(corrected)(jnp.float32(0.5), 3)
    assert float(slope) == pytest.approx(3 * 0.5**2 / (1 - 0.5**3) ** 2, rel=1e-5)


def test_bias_correction_of_an_injected_decay() -> None:
    params = {"w": jnp.ones(4)}
    tx = optcc.inject_hyperparams(optcc.ema)(0.999)
    state = tx.init(params)
    for count in (1, 6, 693):
        inner = at_count(state.inner_state._replace(ema=params), count - 1)
        updates, new = jax.jit(tx.update)(params, state._replace(inner_state=inner), params)
        found = float(new.inner_state.ema["w"][0]) / float(updates["w"][0])
        assert found == pytest.approx(power(float(np.float32(0.999)), count), rel=6 * ULP)


def test_bias_correction_of_decay_one_is_a_division_by_plus_zero() -> None:
    """As ``1 - 1**t`` is, so that a moment that did not start at zero gives plus infinity."""
    params = {"w": jnp.ones(2)}
    tx = optcc.ema(1.0)
    updates, _ = jax.jit(tx.update)(params, tx.init(params)._replace(ema=params), params)
    np.testing.assert_array_equal(updates["w"], np.inf)


@backends
@pytest.mark.parametrize("b2", [0.999, 1 - 1e-5, 1 - 1e-7])
def test_adam_with_a_slow_second_moment(b2: float, backend: str) -> None:
    found = trajectory(optcc.scale_by_adam(0.9, b2, eps=0.0), backend)
    np.testing.assert_allclose(found, adam(0.9, b2), rtol=2e-6)


SAME_FORMULA = {
    "amsgrad": lambda b2: optcc.scale_by_amsgrad(0.9, b2, eps=0.0),
    "rms": lambda b2: optcc.scale_by_rms(b2, eps=0.0, bias_correction=True),
    "belief": lambda b2: optcc.scale_by_belief(0.9, b2, eps=0.0, eps_root=0.0),
    "yogi": lambda b2: optcc.scale_by_yogi(0.9, b2, eps=0.0, initial_accumulator_value=0.0),
    "adamax": lambda b2: optcc.scale_by_adamax(b2, 0.9, eps=0.0),
    "nadam": lambda b2: optcc.scale_by_adam(b2, 0.9, eps=0.0, nesterov=True),
}


@pytest.mark.parametrize("name", SAME_FORMULA)
def test_first_step_with_a_slow_moment(name: str) -> None:
    """At step 1 the correction undoes ``1 - decay``; what is left of the formula needs no other step."""
    g, b2 = 0.3, 1 - 1e-6
    params = {"w": jnp.ones(3)}
    tx = SAME_FORMULA[name](b2)
    updates, _ = jax.jit(tx.update)({"w": jnp.full(3, g)}, tx.init(params), params)
    expected = {
        "belief": g / abs(g - 0.1 * g),
        "adamax": 1.0,
        # The moment is not corrected by its own decay, but by that of the step after.
        "nadam": b2 * (1 - b2) / power(b2, 2) + 1.0,
    }.get(name, 1.0)
    np.testing.assert_allclose(updates["w"], expected, rtol=2e-6)


@backends
@pytest.mark.parametrize("threshold", [5.0, 4.5, 6.0])
@pytest.mark.parametrize("b2", [0.5, 0.9, 0.99, 0.999, 1 - 1e-5, 1 - 1e-7])
def test_rectification(b2: float, threshold: float, backend: str) -> None:
    """Also whether there is any: at a b2 of 1 - 1e-7 the length of step 5 is 4e-7 below the threshold of 5."""
    found = trajectory(optcc.scale_by_radam(0.9, b2, eps=0.0, threshold=threshold), backend)
    np.testing.assert_allclose(found, radam(0.9, b2, threshold), rtol=3e-6)


def test_rectification_with_an_injected_b2() -> None:
    found = trajectory(optcc.inject_hyperparams(optcc.scale_by_radam)(0.9, 0.999, 0.0), "pair")
    b2 = float(np.float32(0.999))
    np.testing.assert_allclose(found, radam(float(np.float32(0.9)), b2, 5.0), rtol=3e-5)


# Other small differences


@backends
@pytest.mark.parametrize("how", ["number", "schedule", "injected"])
def test_fromage_shrinks_by_a_small_rate(how: str, backend: str) -> None:
    """``1 / sqrt(1 + lr**2) - 1`` is -5e-7 at a rate of 1e-3: float32 sees nothing below 6e-8 of it."""
    rate = 1e-3
    params = {"w": jnp.ones(4)}
    make = optcc.inject_hyperparams(optcc.fromage) if how == "injected" else optcc.fromage
    tx = make(optcc.linear_schedule(rate, rate, 10) if how == "schedule" else rate)
    state = tx.init(params)
    updates, _ = updater(tx, params, backend)({"w": jnp.zeros(4)}, state, params)
    np.testing.assert_allclose(updates["w"], 1 / np.sqrt(1 + rate**2) - 1, rtol=1e-6)


@backends
def test_factored_rms_after_many_steps(backend: str) -> None:
    """The weight of a new square is ``t**-0.8``, not what is left of 1."""
    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(5)}
    tx = optcc.scale_by_factored_rms(min_dim_size_to_factor=2)
    update, state = updater(tx, params, backend), tx.init(params)
    for count in (1, 2, 1000, 10**6, 10**7):
        _, new = update(jax.tree.map(lambda x: 2.0 * x, params), at_count(state, count), params)
        np.testing.assert_allclose(new.v["b"], 4 * (count + 1.0) ** -0.8, rtol=2e-6)
        np.testing.assert_allclose(new.v_row["w"], 4 * (count + 1.0) ** -0.8, rtol=2e-6)


@backends
def test_adafactor_with_an_offset_from_a_fresh_state(backend: str) -> None:
    """The steps up to the offset count as the first: nothing of the second moment is kept."""
    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(5)}
    tx = optcc.scale_by_factored_rms(step_offset=3, min_dim_size_to_factor=2)
    update, state = updater(tx, params, backend), tx.init(params)
    expected = 0.0
    for step in range(7):
        g = 1.0 + step
        updates, state = update(jax.tree.map(lambda x, g=g: g * x, params), state, params)
        rate = 1 - (max(step - 3, 0) + 1.0) ** -0.8
        expected = rate * expected + (1 - rate) * g * g
        np.testing.assert_allclose(state.v["b"], expected, rtol=2e-6)
        np.testing.assert_allclose(state.v_col["w"], expected, rtol=2e-6)
        np.testing.assert_allclose(updates["w"], g / np.sqrt(expected), rtol=2e-6)


# Clipping to zero

CLIPS = {
    "global norm": lambda bound: optcc.clip_by_global_norm(bound),
    "block rms": lambda bound: optcc.clip_by_block_rms(bound),
    "adaptive": lambda bound: optcc.adaptive_grad_clip(bound),
}


@backends
@pytest.mark.parametrize("name", CLIPS)
def test_clip_to_zero(name: str, backend: str) -> None:
    """Zeros, also of gradients that are zeros, or so small that their squares are."""
    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(5)}
    tx = CLIPS[name](0.0)
    update, state = updater(tx, params, backend), tx.init(params)
    for g in (0.0, 1.0, 1e-25, -1e30):
        updates, _ = update(jax.tree.map(lambda x, g=g: g * x, params), state, params)
        for x in jax.tree.leaves(updates):
            np.testing.assert_array_equal(x, 0.0, err_msg=f"{g}")
    updates, _ = update(jax.tree.map(lambda x: jnp.nan * x, params), state, params)
    assert all(np.isnan(x).all() for x in jax.tree.leaves(updates))


@backends
@pytest.mark.parametrize("name", CLIPS)
def test_clip_of_zeros_is_zeros(name: str, backend: str) -> None:
    params = {"w": jnp.ones((3, 4)), "b": jnp.ones(5)}
    tx = CLIPS[name](1.0)
    update = updater(tx, params, backend)
    for g in (0.0, 1e-25):
        updates, _ = update(jax.tree.map(lambda x, g=g: g * x, params), tx.init(params), params)
        for x in jax.tree.leaves(updates):
            np.testing.assert_allclose(x, g, rtol=1e-6)


@backends
@pytest.mark.parametrize("b2", [0.999, 1 - 1e-7])
def test_learned_rates(b2: float, backend: str) -> None:
    """At the first step the corrections cancel against the weights of the new moments, whatever b2 is."""
    params = {"w": jnp.ones(4)}
    g = jax.tree.map(lambda p: 0.3 * p, params)
    pairs: list[tuple[Any, float]] = [
        (optcc.contrib.dadapt_adamw(1.0, (0.9, b2), 0.0, 1e-6), -1e-6),
        (optcc.contrib.prodigy(1.0, (0.9, b2), eps=0.0, estim_lr0=1e-6), -1e-6),
        (optcc.contrib.momo_adam(1e-3, 0.9, b2, 0.0, lower_bound=-1e9), -1e-3),
    ]
    for tx, right in pairs:
        given = {"value": jnp.float32(1.0)} if "Momo" in type(tx.init(params)).__name__ else {}
        update = tx.update if backend == "pair" else optcc.compile(tx, params, backend=backend, extra_args=given).update
        found, _ = jax.jit(update)(g, tx.init(params), params, **given)
        np.testing.assert_allclose(found["w"], right, rtol=1e-6)
