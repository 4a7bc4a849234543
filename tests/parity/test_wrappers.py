"""Wrappers against Optax, and what they owe beside numbers: no branch, no copy, names, errors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.parity.trajectories import follow, same
from tests.table import TABLE, Row
from tests.table.row import inner, one_in, secondary
from tests.trees import ragged

STEPS = 12
ROWS = [row for row in TABLE if row.wraps]
secondary_rows = pytest.mark.parametrize("row", list(map(secondary, ROWS)))


def gradients(step: int, dtype: Any = jnp.float32, *, finite: bool = True) -> Any:
    """Gradients of a step: a NaN in three in a row, an infinity in a fourth."""
    grads = ragged(step + 1, dtype)
    if not finite and step in (3, 4, 5):
        grads["odd"] = grads["odd"].at[1, 2].set(jnp.nan)
    if not finite and step == 8:
        grads["scalar"] = jnp.asarray(-jnp.inf, dtype)
    return grads


CASES = [pytest.param(row, True, id=row.name) for row in ROWS] + [
    pytest.param(row, False, id=f"{row.name}-not_finite") for row in ROWS if row.not_finite
]


@pytest.mark.parametrize(("row", "finite"), one_in(2, CASES))
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_twelve_steps_equal_optax(row: Row, finite: bool, dtype: Any):
    """The pair and the compiled step, left to themselves, stay with Optax."""
    follow(row, ragged(0, dtype), lambda step: gradients(step, dtype, finite=finite), steps=STEPS)


@secondary_rows
def test_under_scan(row: Row):
    """Twelve steps in one scan: dtypes and structure of the state are kept."""
    tx = row.make(optcc)
    params = ragged(0)
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), *(gradients(step) for step in range(STEPS)))

    def body(carry: Any, g: Any) -> Any:
        p, s = carry
        updates, s = tx.update(g, s, p)
        return (optcc.apply_updates(p, updates), s), ()

    scanned, _ = jax.lax.scan(body, (params, tx.init(params)), grads)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for step in range(STEPS):
        updates, state = update(gradients(step), state, params)
        params = optcc.apply_updates(params, updates)
    same(scanned, (params, state), 1e-5, row.name)


@secondary_rows
def test_under_vmap(row: Row):
    """Two runs side by side, one with gradients of its own."""
    tx = row.make(optcc)
    params = ragged(0)
    both = jax.tree.map(lambda a, b: jnp.stack([a, b]), gradients(1), gradients(2))
    state = tx.init(params)
    together = jax.vmap(tx.update, in_axes=(0, None, None))(both, state, params)
    for i in (0, 1):
        alone = tx.update(gradients(i + 1), state, params)
        same(jax.tree.map(lambda x, i=i: x[i], together), alone, 1e-5, row.name)


@secondary_rows
def test_no_branch(row: Row):
    """The step has no conditional, which would hold two copies of the state."""
    assert "conditional" not in optcc.compile(row.make(optcc), ragged(0)).hlo()


@pytest.mark.parametrize("name", ["multi_steps", "apply_if_finite", "maybe_update", "multi_transform"])
def test_without_params(name: str):
    """An inner transformation that needs no parameters gets by without."""
    make = {
        "multi_steps": lambda lib: lib.MultiSteps(lib.adam(0.1), 2),
        "apply_if_finite": lambda lib: lib.apply_if_finite(lib.adam(0.1), 2),
        "maybe_update": lambda lib: lib.maybe_update(lib.adam(0.1), lambda step: True),
        "multi_transform": lambda lib: lib.multi_transform({"a": lib.adam(0.1)}, "a"),
    }[name]
    tx = make(optcc)
    state = tx.init(ragged(0))
    with_params, _ = tx.update(ragged(1), state, ragged(0))
    updates, _ = tx.update(ragged(1), state)
    same(updates, with_params, 1e-6, name)


# apply_if_finite


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_finite_updates_whose_sum_overflows_are_applied(dtype: Any):
    params = {"w": jnp.zeros(1000, dtype)}
    tx = optcc.apply_if_finite(optcc.identity(), 0)
    largest = jnp.full(1000, jnp.finfo(dtype).max, dtype)
    for bad in (None, jnp.nan, jnp.inf, -jnp.inf):
        grads = {"w": largest if bad is None else largest.at[7].set(bad)}
        for update in (tx.update, optcc.compile(tx, params).update):
            _, state = update(grads, tx.init(params), params)
            assert bool(state.last_finite) == (bad is None)


# MultiSteps


def test_multi_steps_is_a_class_and_a_pair():
    steps: Any = optcc.MultiSteps(optcc.adam(0.1), every_k_schedule=2)
    params = {"w": jnp.ones(3)}
    state = steps.init(params)
    seen = []
    for _ in range(4):
        _, state = steps.update(params, state, params)
        seen.append(bool(steps.has_updated(state)))
    assert seen == [False, True, False, True]
    assert isinstance(steps.inner_opt, optcc.GradientTransformationExtraArgs)
    pair = steps.gradient_transformation()
    assert isinstance(pair, optcc.GradientTransformationExtraArgs)
    assert isinstance(optcc.chain(steps, pair).init(params)[0], optcc.MultiStepsState)


def test_a_nan_is_gone_with_its_window():
    """Zeros between, and clean accumulators after, whatever was in the gradients."""
    tx = optcc.MultiSteps(optcc.scale(-1.0), 2)
    params = {"w": jnp.zeros(2)}
    state = tx.init(params)
    seen = []
    for value in (jnp.nan, 1.0, 2.0, 4.0):
        updates, state = tx.update({"w": jnp.full(2, value)}, state, params)
        seen.append(float(updates["w"][0]))
    np.testing.assert_equal(seen, [0.0, np.nan, 0.0, -3.0])
    np.testing.assert_equal(np.asarray(state.acc_grads["w"]), [0.0, 0.0])


def test_a_skip_function_must_return_a_bool():
    tx = optcc.MultiSteps(
        optcc.scale(-1.0), 2, should_skip_update_fn=lambda updates, gradient_step, params: (updates["w"] > 0, ())
    )
    params = {"w": jnp.zeros(2)}
    with pytest.raises(ValueError, match=r"0-d bool first, got bool\[2\]\n  where: MultiSteps\n  fix: "):
        tx.update(params, tx.init(params), params)


def test_k_is_an_input():
    """Another k is no other compilation."""
    params = {"w": jax.ShapeDtypeStruct((3, 4), jnp.float32)}
    make: Any = optcc.MultiSteps
    steps = {
        id(optcc.compile(make(optcc.adamw(1e-3 * k), k), params)._made.steps[False, False, False, True])
        for k in (2, 3, 4)
    }
    assert len(steps) == 1
    text = optcc.compile(optcc.chain(optcc.clip(1.0), make(optcc.adam(1e-3), 4)), params).ir("optim")
    assert all(f'optim.hyper "{name}"' in text for name in ("0.max_delta", "1.every_k_schedule", "1.learning_rate"))


# Extra arguments, opaque functions, foreign pairs


def scale_by_extra() -> Any:
    """A pair of Optax's class that uses an extra argument."""

    def update(updates: Any, state: Any, params: Any = None, *, value: Any, **_: Any):
        del params
        return jax.tree.map(lambda u: u * value, updates), state + 1

    make: Any = optax.GradientTransformationExtraArgs
    return make(lambda params: jnp.zeros([], jnp.int32), update)


@pytest.mark.parametrize("name", ["multi_steps", "apply_if_finite", "maybe_update", "multi_transform", "inject"])
def test_extra_arguments_reach_a_foreign_pair(name: str):
    tx = {
        "multi_steps": optcc.MultiSteps(scale_by_extra(), 1),
        "apply_if_finite": optcc.apply_if_finite(scale_by_extra(), 1),
        "maybe_update": optcc.maybe_update(scale_by_extra(), lambda step, value: value > step, forward_extra_args=True),
        "multi_transform": optcc.multi_transform({"a": scale_by_extra()}, "a"),
        "inject": optcc.inject_hyperparams(lambda rate: optcc.chain(scale_by_extra(), optcc.scale(rate)))(1.0),
    }[name]
    params = ragged(0)
    state = tx.init(params)
    for update in (tx.update, optcc.compile(tx, params).update):
        updates, new = update(ragged(1), state, params, value=jnp.float32(3.0))
        same(updates, jax.tree.map(lambda g: 3 * g, ragged(1)), 1e-6, name)
        assert 1 in [int(x) for x in jax.tree.leaves(new) if x.dtype == jnp.int32]


def test_a_foreign_state_is_kept_when_a_step_is_left_out():
    adam: Any = optax.adam(0.1)
    tx = optcc.apply_if_finite(adam, 5)
    params = {"w": jnp.ones(3)}
    state = tx.init(params)
    updates, new = optcc.compile(tx, params).update({"w": jnp.full(3, jnp.nan)}, state, params)
    same((updates, new.inner_state), ({"w": jnp.zeros(3)}, state.inner_state), 0.0, "left out")


def test_opaque_conditions_are_kept_apart():
    """Two functions that the IR does not look into, in one place of the chain."""
    table = jnp.array([True, False, True, False])
    tx = optcc.maybe_update(
        optcc.maybe_update(optcc.scale(2.0), lambda step: ~table[step % 4]), lambda step: table[step % 4]
    )
    params = {"w": jnp.ones(3)}
    state, seen = tx.init(params), []
    for _ in range(5):
        updates, state = tx.update(params, state, params)
        seen.append(float(updates["w"][0]))
    assert seen == [1.0, 1.0, 2.0, 1.0, 1.0]


# multi_transform


def test_labels_may_be_a_prefix_of_the_parameters():
    transforms = {"a": optcc.clip_by_global_norm(0.7), "b": optcc.trace(0.7)}
    labels = {"scalar": "a", "empty": "b", "one": "b", "vector": "a", "odd": "b", "deep": "a"}
    full = {**labels, "deep": {"w": "a", "b": "a"}}
    found, expected = (
        tx.update(ragged(1), tx.init(ragged(0)), ragged(0))
        for tx in (optcc.multi_transform(transforms, x) for x in (labels, full))
    )
    same(found, expected, 0.0, "prefix")


def test_an_unknown_label_is_named():
    tx = optcc.multi_transform({"weights": optcc.adam(0.1)}, {"a": {"w": "weights", "b": "wieghts"}})
    with pytest.raises(ValueError, match="label 'wieghts'") as error:
        tx.init({"a": {"w": jnp.ones(2), "b": jnp.ones(2)}})
    assert "leaf params['a']['b']" in str(error.value)
    assert "did you mean 'weights'?" in str(error.value)


def test_labels_that_are_no_prefix():
    tx = optcc.multi_transform({"a": optcc.adam(0.1)}, {"w": "a"})
    with pytest.raises(optcc.TreeMismatchError, match="prefix of the parameters"):
        tx.init({"v": jnp.ones(2)})


@pytest.mark.parametrize(
    ("labels", "name"), [(("w", "b"), "w.step_size"), (("x.y", "b"), "0.step_size"), ((1, 2), "1.step_size")]
)
def test_labels_name_hyperparameters_where_they_are_words(labels: tuple[Any, Any], name: str):
    tx = optcc.multi_transform(
        {labels[0]: optcc.scale(2.0), labels[1]: optcc.scale(3.0)}, {"a": labels[0], "c": labels[1]}
    )
    params = {"a": jnp.ones(2), "c": jnp.ones(3)}
    assert f'optim.hyper "{name}"' in optcc.compile(tx, params).ir("optim")
    updates, _ = tx.update(params, tx.init(params), params)
    same(updates, {"a": jnp.full(2, 2.0), "c": jnp.full(3, 3.0)}, 0.0, "labels")


def test_the_inner_transformation_is_named_in_errors():
    tx = optcc.chain(optcc.identity(), optcc.apply_if_finite(inner(optcc), 1))
    params = ragged(0)
    with pytest.raises(ValueError, match=r"where: chain\[1\]\[inner\]\[1\]\[1\] add_decayed_weights"):
        tx.update(ragged(1), tx.init(params))


# freeze and selective_transform


def test_frozen_leaves_get_no_update_and_no_state():
    params = {"a": jnp.ones(3), "b": {"w": jnp.ones((2, 2)), "c": jnp.ones(())}}
    frozen = {"a": True, "b": {"w": False, "c": True}}
    tx = optcc.selective_transform(optcc.adam(0.1), freeze_mask=frozen)
    state = tx.init(params)
    assert len(jax.tree.leaves(state)) == 3, "a count and two moments of w"
    updates, _ = tx.update(params, state, params)
    alone, _ = optcc.adam(0.1).update(params["b"]["w"], optcc.adam(0.1).init(params["b"]["w"]))
    same(updates, {"a": jnp.zeros(3), "b": {"w": alone, "c": jnp.zeros(())}}, 1e-6, "selective_transform")
    updates, _ = optcc.freeze(frozen).update(params, optcc.freeze(frozen).init(params))
    same(updates, {"a": jnp.zeros(3), "b": {"w": params["b"]["w"], "c": jnp.zeros(())}}, 0.0, "freeze")


def test_named_chain_names_states_and_hyperparameters():
    tx = optcc.named_chain(("first", optcc.trace(0.5)), ("rate", optcc.scale(2.0)))
    assert list(tx.init(jnp.ones(1))) == ["first", "rate"]
    assert sorted(optcc.compile(tx, jnp.ones(1)).hyperparams) == ["first.decay", "rate.step_size"]
    with pytest.raises(ValueError, match="must be unique"):
        optcc.named_chain(("a", optcc.identity()), ("a", optcc.identity()))
