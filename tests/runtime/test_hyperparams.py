"""Hyperparameters at run time: names and values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.runtime import native
from tests.trees import assert_close, assert_relative, matrices_only

PARAMS = {"w": jnp.arange(12.0).reshape(3, 4) / 7, "b": jnp.arange(3.0) - 1}
GRADS = jax.tree.map(lambda x: jnp.cos(x), PARAMS)


BACKENDS = [
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]
backends = pytest.mark.parametrize("backend", BACKENDS)


def copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


# Names and values

CHAINS: dict[str, tuple[Callable[..., Any], dict[str, float]]] = {
    "sgd": (lambda rate=0.1: optcc.sgd(rate), {"1.learning_rate": 0.03}),
    "adamw": (
        lambda b1=0.9, b2=0.99, decay=0.1, rate=0.1: optcc.adamw(rate, b1, b2, weight_decay=decay),
        {"0.b1": 0.7, "0.b2": 0.8, "1.weight_decay": 0.3, "2.learning_rate": 0.03},
    ),
    "nested": (
        lambda limit=1.0, decay=0.9, size=-0.1: optcc.chain(
            optcc.clip_by_global_norm(limit), optcc.chain(optcc.trace(decay), optcc.scale(size))
        ),
        {"0.max_norm": 0.3, "1.decay": 0.5, "1.step_size": -0.2},
    ),
    "twice": (
        lambda one=0.1, two=0.2: optcc.chain(optcc.adam(one), optcc.sgd(two)),
        {"0.learning_rate": 0.5, "1.learning_rate": 0.6},
    ),
    "masked": (
        lambda b1=0.9, rate=0.1: optcc.masked(optcc.adam(rate, b1), matrices_only),
        {"0.b1": 0.3, "1.learning_rate": 0.4},
    ),
    "multi_steps": (
        lambda every=2, rate=0.1: optcc.MultiSteps(optcc.adam(rate), every),
        {"every_k_schedule": 1, "inner.learning_rate": 0.3},
    ),
    "multi_transform": (
        lambda one=0.1, two=0.2: optcc.multi_transform(
            {"a": optcc.adam(one), "b": optcc.sgd(two)}, {"w": "a", "b": "b"}
        ),
        {"a.learning_rate": 0.5, "b.learning_rate": 0.6},
    ),
    "initial": (
        lambda start=0.1, rate=0.1: optcc.adagrad(rate, start),
        {"0.initial_accumulator_value": 0.7, "1.learning_rate": 0.3},
    ),
    "injected": (lambda rate=0.1: optcc.inject_hyperparams(optcc.adam)(learning_rate=rate), {"learning_rate": 0.3}),
    "edges": (
        lambda b1=0.9, b2=0.99, decay=0.1: optcc.adamw(0.1, b1, b2, weight_decay=decay),
        {"0.b1": 0.0, "0.b2": 1.0 - 2**-7, "1.weight_decay": 1.0},
    ),
    "sm3": (lambda b2=0.9: optcc.scale_by_sm3(0.8, b2), {"b2": 1.0}),
}  # fmt: skip


def trained(compiled: Any, steps: int = 3, **values: Any) -> Any:
    params, state = copied(PARAMS), compiled.init(PARAMS)
    for i in range(steps):
        params, state = compiled.step(jax.tree.map(lambda x, i=i: (i + 1) * x, GRADS), state, params, **values)
    return params, state


@pytest.mark.parametrize("name", CHAINS)
def test_values_given_later_are_values_written(name: str):
    """`with_hyperparams`, and `hyperparams=` of `step`, give the bits of a chain that was written with the values."""
    make, values = CHAINS[name]
    compiled = optcc.compile(make(), PARAMS, backend="stablehlo")
    assert set(values) <= set(compiled.hyperparams)
    written = optcc.compile(make(*values.values()), PARAMS, backend="stablehlo")
    assert {name: written.hyperparams[name] for name in values} == values
    expected = trained(written)
    changed = compiled.with_hyperparams(values)
    assert changed.hyperparams == written.hyperparams
    assert_close(trained(changed), expected, limit=0)
    assert_close(
        changed.update(GRADS, changed.init(PARAMS), PARAMS),
        written.update(GRADS, written.init(PARAMS), PARAMS),
        limit=0,
    )
    if name not in ("initial", "injected"):  # those values are in the state
        assert_close(trained(compiled, hyperparams=values), expected, limit=0)
    assert_close(trained(compiled), trained(optcc.compile(make(), PARAMS, backend="stablehlo")), limit=0)


def test_values_add_up():
    """Values of `step` go over those of `with_hyperparams`, for that step only."""
    compiled = optcc.compile(optcc.sgd(0.1, 0.9), PARAMS).with_hyperparams({"0.decay": 0.5})
    assert compiled.hyperparams == {"0.decay": 0.5, "1.learning_rate": 0.1}
    again = compiled.with_hyperparams({"1.learning_rate": 0.2})
    assert again.hyperparams == {"0.decay": 0.5, "1.learning_rate": 0.2}
    state = compiled.init(PARAMS)
    got, _ = compiled.step(GRADS, state, copied(PARAMS), hyperparams={"1.learning_rate": 0.2})
    assert_close(got, again.step(GRADS, again.init(PARAMS), copied(PARAMS))[0], limit=0)
    assert compiled.hyperparams["1.learning_rate"] == 0.1


@backends
def test_traced_values(backend: str):
    """A value that a user's jit computes: one compilation of that jit, and the gradient with respect to it."""
    compiled = optcc.compile(optcc.adamw(0.1), PARAMS, backend=backend)

    def both(rate: Any, grads: Any, params: Any) -> Any:
        values = {"2.learning_rate": rate}
        state = compiled.init(params)
        new, _ = compiled.step(grads, state, params, hyperparams=values)
        updates, _ = compiled.with_hyperparams(values).update(grads, state, params)
        return new, updates

    step: Any = jax.jit(both)
    for rate in (0.3, 0.4):
        new, updates = step(rate, GRADS, PARAMS)
        expected, _ = compiled.with_hyperparams({"2.learning_rate": rate}).step(
            GRADS, compiled.init(PARAMS), copied(PARAMS)
        )
        assert_relative(new, expected, rtol=1e-6)
        assert_relative(updates, jax.tree.map(jnp.subtract, expected, PARAMS), rtol=1e-5)
    assert step._cache_size() == 1
    # sgd moves by -rate * grads, so the slope is minus the sum of the gradients.
    sgd = optcc.compile(optcc.sgd(0.1), PARAMS, backend=backend)

    def total(rate: Any) -> Any:
        params, _ = sgd.step(GRADS, sgd.init(PARAMS), copied(PARAMS), hyperparams={"1.learning_rate": rate})
        return sum(map(jnp.sum, jax.tree.leaves(params)))

    slope = jax.grad(total)(0.1)
    np.testing.assert_allclose(slope, -sum(float(jnp.sum(g)) for g in jax.tree.leaves(GRADS)), rtol=1e-5)


def test_first_step_within_a_trace():
    """What is made for the first time while a user's function is traced is no part of that trace."""
    rate: Any = np.float32(0.1)
    compiled = optcc.compile(optcc.adamw(rate), PARAMS)
    jax.jit(lambda g, p: compiled.step(g, compiled.init(p), p))(GRADS, PARAMS)
    compiled.step(GRADS, compiled.init(PARAMS), copied(PARAMS))
    tx = optcc.sgd(rate)
    jax.jit(tx.update)(GRADS, tx.init(PARAMS), PARAMS)
    tx.update(GRADS, tx.init(PARAMS), PARAMS)


def test_unknown_name():
    compiled = optcc.compile(optcc.adamw(0.1), PARAMS)
    with pytest.raises(
        ValueError, match=r"unknown hyperparameter '2\.learningrate'(.|\n)*did you mean '2\.learning_rate'"
    ):
        compiled.with_hyperparams({"2.learningrate": 0.1})
    with pytest.raises(ValueError, match=r"unknown hyperparameter 'nesterov'"):
        compiled.step(GRADS, compiled.init(PARAMS), PARAMS, hyperparams={"nesterov": True})
    with pytest.raises(ValueError, match="one of none"):
        optcc.compile(optcc.identity(), PARAMS).with_hyperparams({"rate": 0.1})


@pytest.mark.parametrize("value", [None, True, "fast", [0.1], jnp.ones(2), 1j, lambda count: 0.1])
def test_value_that_is_no_number(value: Any):
    with pytest.raises(TypeError, match=r"'1\.learning_rate' must be a number or a 0-d array"):
        optcc.compile(optcc.sgd(0.1), PARAMS).with_hyperparams({"1.learning_rate": value})


def test_what_is_no_hyperparameter():
    """Schedules, None and flags are in the program."""
    assert optcc.compile(optcc.sgd(optcc.exponential_decay(0.1, 2, 0.5)), PARAMS).hyperparams == {}
    assert optcc.compile(optcc.scale_by_learning_rate(None), PARAMS).hyperparams == {}
    assert "0.nesterov" not in optcc.compile(optcc.sgd(0.1, 0.9, nesterov=True), PARAMS).hyperparams


NUMBERS: list[Any] = [3, 2**62, np.int32(3), np.int64(2**31), np.int64(2**62), np.uint64(2**63), np.array(2**40)]
NUMBERS += [np.float32(0.5), np.float64(0.1), jnp.int32(3), jnp.bfloat16(0.5)]


@pytest.mark.parametrize(
    "value",
    NUMBERS,
    ids=lambda value: f"{type(value).__name__} {value}",
)
def test_numbers_of_every_type(value: Any):
    """In the constructor and in a step: rounded to float32 once, whatever the type; JAX wraps integers at 2**31."""
    want = -np.float32(float(value))
    zeros = {"w": jnp.zeros(2)}
    ones = {"w": jnp.ones(2)}
    given, changed = optcc.compile(optcc.sgd(value), zeros), optcc.compile(optcc.sgd(0.1), zeros)
    for compiled, hyperparams in ((given, None), (changed, {"1.learning_rate": value})):
        new, _ = compiled.step(ones, compiled.init(zeros), copied(zeros), hyperparams=hyperparams)
        np.testing.assert_array_equal(new["w"], want)
    np.testing.assert_array_equal(optcc.sgd(value).update(ones, optcc.sgd(value).init(zeros))[0]["w"], want)


def test_integer_beyond_float64():
    zeros = {"w": jnp.zeros(2)}
    calls: list[Callable[[], Any]] = [
        lambda: optcc.compile(optcc.sgd(10**400), zeros),
        lambda: optcc.sgd(10**400).update(zeros, optcc.sgd(0.1).init(zeros)),
        lambda: optcc.compile(optcc.sgd(0.1), zeros).with_hyperparams({"1.learning_rate": 10**400}),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="learning_rate' must be in the range of float64, got an integer of 1329"):
            call()


NO_NUMBERS: list[Any] = ["0.1", True, [0.1], np.ones(2), 1j, object(), np.True_]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_no_number_is_refused_by_compile(value: Any):
    """By `compile`, with the place in the chain, not by the first step."""
    text = r"hyperparameter '1\.b1' must be a number or a 0-d array, got .*\n  where: scale_by_adam\n  fix:   pass"
    chain = optcc.chain(optcc.scale_by_lion(0.8), optcc.adam(0.1, b1=value))
    with pytest.raises(TypeError, match=text):
        optcc.compile(chain, PARAMS)


@pytest.mark.parametrize(
    ("make", "changes", "text"),
    [
        (lambda: optcc.lookahead(optcc.sgd(0.1), 2, 0.5), {"sync_period": 0}, "sync_period must be at least 1, got 0"),
        (lambda: optcc.lookahead(optcc.sgd(0.1), 2, 0.5), {"sync_period": np.int64(-1)}, "at least 1, got -1"),
        (lambda: optcc.contrib.reduce_on_plateau(), {"factor": 1.5}, r"range \(0, 1\), got factor = 1.5"),
        (lambda: optcc.contrib.reduce_on_plateau(rtol=0.1, atol=0.0), {"rtol": 0.0}, "At least one of rtol or atol"),
    ],
    ids=["zero", "numpy", "factor", "together"],
)
def test_range_is_checked_as_in_the_constructor(make: Any, changes: Any, text: str):
    tx = make()
    params = optcc.LookaheadParams.init_synced(PARAMS) if "sync_period" in changes else PARAMS
    with pytest.raises(ValueError, match=text):
        optcc.compile(tx, params, extra_args={"value": jnp.float32(0)}).with_hyperparams(changes)


def test_injected_values_are_not_those_of_a_step():
    """They are in the state, from where the step reads them."""
    compiled = optcc.compile(optcc.inject_hyperparams(optcc.sgd)(0.1), PARAMS)
    with pytest.raises(ValueError, match=r"reads 'learning_rate' from the state(.|\n)*state\.hyperparams"):
        compiled.step(GRADS, compiled.init(PARAMS), copied(PARAMS), hyperparams={"learning_rate": 0.5})
    state = compiled.with_hyperparams({"learning_rate": 0.5}).init(PARAMS)
    assert float(state.hyperparams["learning_rate"]) == 0.5


# Names of groups


def groups(first: Any = None) -> Any:
    parts = {"no-decay": optcc.adam(0.1, b1=0.8), "all": optcc.sgd(0.2)}
    inner = optcc.multi_transform(parts, {"w": "all", "b": "no-decay"})
    return optcc.chain(optcc.clip_by_global_norm(1.0), inner, *([first] if first else []))


def test_names_tell_the_group():
    names = set(optcc.compile(groups(), PARAMS).hyperparams)
    assert {"0.max_norm", "1.no-decay.b1", "1.no-decay.learning_rate", "1.all.learning_rate"} <= names
    layers = optcc.named_chain(("lim", optcc.clip(1.0)), ("opt", optcc.chain(optcc.adam(0.1), optcc.adam(0.2))))
    assert {"lim.max_delta", "opt.0.0.b1", "opt.1.0.b1"} <= set(optcc.compile(layers, PARAMS).hyperparams)
    by_number = optcc.multi_transform({10: optcc.sgd(0.1), 20: optcc.sgd(0.2)}, {"w": 10, "b": 20})
    assert {"10.learning_rate", "20.learning_rate"} == set(optcc.compile(by_number, PARAMS).hyperparams)


def test_full_paths_are_names_that_stay():
    """A second adam makes the short name of the first one's rate longer; its full path stays."""
    alone = optcc.chain(optcc.clip(1.0), optcc.chain(optcc.adam(0.1)))
    beside = optcc.chain(optcc.clip(1.0), optcc.chain(optcc.adam(0.1), optcc.adam(0.2)))
    name = "1.0.1.learning_rate"
    for chain, short in ((alone, "1.learning_rate"), (beside, name)):
        compiled = optcc.compile(chain, PARAMS)
        assert short in compiled.hyperparams
        changed = compiled.with_hyperparams({name: 0.5})
        assert changed.hyperparams[short] == 0.5
        assert set(changed.hyperparams) == set(compiled.hyperparams)
        expected, _ = changed.step(GRADS, changed.init(PARAMS), copied(PARAMS))
        got, _ = compiled.step(GRADS, compiled.init(PARAMS), copied(PARAMS), hyperparams={name: 0.5})
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    with pytest.raises(ValueError, match=r"unknown hyperparameter '1\.0\.2\.learning_rate'"):
        optcc.compile(beside, PARAMS).with_hyperparams({"1.0.2.learning_rate": 0.5})


def test_no_number_names_its_group():
    wrong: Any = "0.9"
    chain = optcc.multi_transform({"a": optcc.sgd(0.1), "b": optcc.adam(0.1, b1=wrong)}, {"w": "a", "b": "b"})
    with pytest.raises(TypeError, match=r"hyperparameter 'b\.b1' must be a number(.|\n)*where: scale_by_adam"):
        optcc.compile(chain, PARAMS)
