"""Wrappers against Optax, and what they owe beside numbers: no branch, no copy, names, errors."""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.params import load_params
from optcc.report import cost_of
from optcc.runtime.stages import function_of
from tests.parity.test_parity import move, names, same_structure
from tests.rows import Row
from tests.table_wrappers import NOT_FINITE, OWN_ROWS, inner
from tests.table_wrappers import ROWS as SHARED_ROWS
from tests.trees import matrices_only, ragged

STEPS = 12
ROWS = [*SHARED_ROWS, *OWN_ROWS]
rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def gradients(step: int, dtype: Any = jnp.float32, *, finite: bool = True) -> Any:
    """Gradients of a step: a NaN in three in a row, an infinity in a fourth."""
    grads = ragged(step + 1, dtype)
    if not finite and step in (3, 4, 5):
        grads["odd"] = grads["odd"].at[1, 2].set(jnp.nan)
    if not finite and step == 8:
        grads["scalar"] = jnp.asarray(-jnp.inf, dtype)
    return grads


CASES = [pytest.param(row, True, id=row.name) for row in ROWS] + [
    pytest.param(row, False, id=f"{row.name}-not_finite") for row in ROWS if row.name in NOT_FINITE
]


@pytest.mark.parametrize(("row", "finite"), CASES)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_twelve_steps_equal_optax(row: Row, finite: bool, dtype: Any):
    """The pair and the compiled step, left to themselves, stay with Optax."""
    ours, theirs = row.make(optcc), row.make(optax)
    update, expected_update = jax.jit(ours.update), jax.jit(theirs.update)
    params = expected_params = ragged(0, dtype)
    state, expected_state = ours.init(params), theirs.init(params)
    if "foreign" not in row.name:
        same_structure(state, expected_state)
    opt = optcc.compile(ours, params)
    stepped, stepped_state = jax.tree.map(jnp.copy, params), opt.init(params)
    assert jax.tree.structure(stepped_state) == jax.tree.structure(state)
    for step in range(STEPS):
        grads = gradients(step, dtype, finite=finite)
        updates, state = update(grads, state, params)
        expected, expected_state = expected_update(grads, expected_state, expected_params)
        assert jax.tree.map(lambda x: x.dtype, updates) == jax.tree.map(lambda x: x.dtype, expected)
        params = optcc.apply_updates(params, updates)
        expected_params = optax.apply_updates(expected_params, expected)
        stepped, stepped_state = opt.step(grads, stepped_state, stepped)
    rtol = 2e-5 if dtype == jnp.float32 and row.name != "multi_steps_dtype" else 4e-2
    same(params, expected_params, rtol, row.name)
    same(state, expected_state, rtol, row.name)
    same(stepped, params, rtol, f"{row.name} compiled")
    same(stepped_state, state, rtol, f"{row.name} compiled")


def same(got: Any, expected: Any, rtol: float, what: str) -> None:
    """Integers and bools equal, NaN where NaN is expected, floats within `rtol` of the largest value of the leaf."""
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert x.dtype == y.dtype, what
        a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
        scale = float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
        exact = not jnp.issubdtype(x.dtype, jnp.floating)
        np.testing.assert_allclose(a, b, rtol=0 if exact else rtol, atol=0 if exact else rtol * scale, err_msg=what)


@rows
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


@rows
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


@rows
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


# Sweeps and memory


def by_size(tree: Any) -> Any:
    return jax.tree.map(lambda x: "bw"[x.ndim > 1], tree)


GPT2: dict[str, Any] = {
    "MultiSteps": (optcc.MultiSteps(optcc.adamw(1e-3), 4), 1, 36),
    "apply_if_finite": (optcc.apply_if_finite(optcc.adamw(1e-3), 3), 2, 32),
}
CHAINS: dict[str, Any] = {
    **GPT2,
    "MultiSteps_skip": (optcc.MultiSteps(optcc.adamw(1e-3), 4, True, optcc.skip_not_finite), 2, 40),
    "MultiSteps_clip": (
        optcc.MultiSteps(optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-3)), 4), 2, 44,
    ),
    "apply_if_finite_clip": (
        optcc.apply_if_finite(optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-3)), 3), 2, 32,
    ),
    "maybe_update": (optcc.maybe_update(optcc.adamw(1e-3), lambda step: step % 2 == 0), 1, 28),
    "apply_every": (optcc.chain(optcc.apply_every(4), optcc.scale(-0.1)), 1, 20),
    "multi_transform": (optcc.multi_transform({"w": optcc.adamw(1e-3), "b": optcc.adam(1e-3)}, by_size), 1, 28),
    "inject_hyperparams": (optcc.inject_hyperparams(optcc.adamw)(1e-3), 1, 28),
}  # fmt: skip
"""Chain, sweeps, and bytes moved for each float32 parameter: a condition on the gradients reads them once more."""


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return load_params("gpt2")


@pytest.mark.parametrize("name", CHAINS)
def test_sweeps_and_bytes(name: str, gpt2: Any):
    tx, sweeps, bytes_per_parameter = CHAINS[name]
    cost = cost_of(function_of(optcc.compile(tx, gpt2).staged.program))
    assert len(cost.sweeps) == sweeps
    assert cost.per_parameter(cost.bytes) == bytes_per_parameter
    assert not any(sweep.fresh for sweep in cost.sweeps), "a sweep writes an array of its own"
    assert not cost.barriers


@pytest.mark.parametrize("name", GPT2)
def test_in_place_on_gpt2(name: str, gpt2: Any):
    """Optax needs 300 % of the parameters' bytes for MultiSteps(adamw), and 100 % for apply_if_finite(adamw)."""
    compiled = optcc.compile(GPT2[name][0], gpt2)
    stats = compiled.executable.memory_analysis()
    assert stats.alias_size_in_bytes == compiled.donated_bytes
    assert stats.temp_size_in_bytes < 0.01 * 4 * 124_439_808


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
    steps = {id(optcc.compile(make(optcc.adamw(1e-3 * k), k), params)._steps[False, False, False]) for k in (2, 3, 4)}
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
    ("labels", "name"), [(("w", "b"), "w.step_size"), (("x.y", "b"), "0.step_size"), ((1, 2), "0.step_size")]
)
def test_labels_name_hyperparameters_where_they_are_words(labels: tuple[Any, Any], name: str):
    tx = optcc.multi_transform(
        {labels[0]: optcc.scale(2.0), labels[1]: optcc.scale(3.0)}, {"a": labels[0], "c": labels[1]}
    )
    params = {"a": jnp.ones(2), "c": jnp.ones(3)}
    assert f'optim.hyper "{name}"' in optcc.compile(tx, params).ir("optim")
    updates, _ = tx.update(params, tx.init(params), params)
    same(updates, {"a": jnp.full(2, 2.0), "c": jnp.full(3, 3.0)}, 0.0, "labels")


# inject_hyperparams


def test_a_changed_hyperparameter_is_used_without_a_compilation():
    params = {"w": jnp.ones(3)}
    opt = optcc.compile(optcc.inject_hyperparams(optcc.sgd)(0.1), params)
    state = opt.init(params)
    sizes = []
    for rate in (0.1, 0.5, 2.0):
        state.hyperparams["learning_rate"] = jnp.asarray(rate, jnp.float32)
        before = float(params["w"][0])
        params, state = opt.step({"w": jnp.ones(3)}, state, params)
        assert float(params["w"][0]) == pytest.approx(before - rate)
        sizes.append(opt._steps[False, False, False]._cache_size())
    assert sizes == [sizes[0]] * 3


def test_a_number_may_be_assigned_to_a_hyperparameter():
    params = {"w": jnp.ones(3)}
    tx = optcc.inject_hyperparams(optcc.sgd)(0.1)
    state = tx.init(params)
    state.hyperparams["learning_rate"] = 0.25
    updates, state = tx.update(params, state, params)
    assert float(updates["w"][0]) == -0.25
    assert state.hyperparams["learning_rate"] == 0.25


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_hyperparameters_have_the_dtype_of_the_parameters(dtype: Any):
    given = {"learning_rate": 0.1, "decay": 0.8, "eps": 1e-3, "initial_scale": 0.3, "centered": True}
    params = {"w": jnp.ones(3, dtype)}
    state, expected = (lib.inject_hyperparams(lib.rmsprop)(**given).init(params) for lib in (optcc, optax))
    same(state.hyperparams, expected.hyperparams, 0.0, "hyperparams")
    assert set(state.hyperparams) == set(expected.hyperparams)


@pytest.mark.parametrize(
    "name",
    [
        "adabelief", "adagrad", "adam", "adamax", "adamaxw", "adamw", "amsgrad", "fromage", "lamb", "lars", "lion",
        "novograd", "optimistic_gradient_descent", "radam", "rmsprop", "sgd", "yogi",
    ],
)  # fmt: skip
def test_every_factory_takes_injected_hyperparameters(name: str):
    given = {"sgd": {"momentum": 0.9}, "rmsprop": {"momentum": 0.9}}.get(name, {})
    ours = optcc.inject_hyperparams(getattr(optcc, name))(0.1, **given)
    plain = getattr(optcc, name)(0.1, **given)
    params = ragged(0)
    state, expected_state = ours.init(params), plain.init(params)
    for step in range(3):
        updates, state = ours.update(ragged(step + 1), state, params)
        expected, expected_state = plain.update(ragged(step + 1), expected_state, params)
        if name != "lion":  # one ulp before its sign is a whole step after it
            same(updates, expected, 1e-4, name)


def test_static_arguments_stay():
    seen = []

    def factory(rate: Any, mask: Any, flag: bool, name: str | None, size: int) -> Any:
        seen.append((mask, flag, name))
        return optcc.add_decayed_weights(rate * size, mask)

    tx = optcc.inject_hyperparams(factory, static_args="mask")(0.5, matrices_only, True, None, size=2)
    state = tx.init(ragged(0))
    assert set(state.hyperparams) == {"rate", "size"}
    assert state.hyperparams["size"].dtype == jnp.int32
    updates, _ = tx.update(ragged(1), state, ragged(0))
    expected, _ = optcc.add_decayed_weights(1.0, matrices_only).update(
        ragged(1), optcc.add_decayed_weights(1.0, matrices_only).init(ragged(0)), ragged(0)
    )
    same(updates, expected, 1e-6, "static")
    assert set(seen) == {(matrices_only, True, None)}


def test_an_optax_factory_is_opaque():
    ours, theirs = (lib.inject_hyperparams(optax.adam)(0.1, b1=0.8) for lib in (optcc, optax))
    params = ragged(0)
    state, expected_state = ours.init(params), theirs.init(params)
    for _ in range(3):
        updates, state = ours.update(ragged(1), state, params)
        expected, expected_state = theirs.update(ragged(1), expected_state, params)
        same(updates, expected, 1e-6, "opaque")
        state.hyperparams["learning_rate"] = expected_state.hyperparams["learning_rate"] = jnp.float32(0.3)


class Plateau:
    """A schedule with a state: halves at every call, by a value that the step passes on."""

    def init(self) -> Any:
        return {"rate": jnp.float32(0.8)}

    def update(self, state: Any, *, value: Any = 1.0, **_: Any) -> Any:
        return {"rate": state["rate"] / 2 * value}

    def __call__(self, state: Any, **_: Any) -> Any:
        return state["rate"]


def test_a_schedule_with_a_state():
    make = {"learning_rate": Plateau(), "momentum": optcc.exponential_decay(0.9, 2, 0.5)}
    ours, theirs = (lib.inject_hyperparams(lib.sgd)(**make) for lib in (optcc, optax))
    params = ragged(0)
    state, expected_state = ours.init(params), theirs.init(params)
    assert isinstance(state, optcc.InjectStatefulHyperparamsState)
    assert names(state) == names(expected_state)
    for _ in range(3):
        updates, state = ours.update(ragged(1), state, params, value=jnp.float32(1.5))
        expected, expected_state = theirs.update(ragged(1), expected_state, params, value=jnp.float32(1.5))
        same(updates, expected, 1e-6, "stateful")
        same(state, move(expected_state, state), 1e-6, "stateful")


@pytest.mark.parametrize(
    "factory",
    [
        lambda rate: optcc.scale(jnp.minimum(rate, 1.0)),
        lambda rate: optcc.scale(np.sqrt(rate)),
        lambda rate: optcc.scale(float(rate)),
        lambda rate: optcc.scale(rate) if rate > 0 else optcc.identity(),
    ],
    ids=["jax", "numpy", "float", "truth"],
)
def test_what_a_factory_cannot_do(factory: Any):
    """The error says what works; here in a note, as it may be the error of another library."""
    tx = optcc.inject_hyperparams(factory)(0.1)
    with pytest.raises(TypeError) as error:
        tx.init(ragged(0))
    assert "name an argument in static_args" in error.value.__notes__[0]


def repeated(rate: Any, count: Any, factor: Any = 2) -> Any:
    """A factory with numbers that shape what it makes."""
    return optcc.chain(*[optcc.scale(rate) for _ in range(count * factor)])


@pytest.mark.parametrize(
    ("make", "names", "kind"),
    [
        # The factory itself fails, or only what it makes does, or one of another library inside its opaque call.
        (lambda: optcc.inject_hyperparams(optcc.add_noise)(0.1, 0.5, 0), ("add_noise", '"seed"'), "a Python number"),
        (
            lambda: optcc.inject_hyperparams(optcc.adafactor)(1e-3),
            ("adafactor", '"min_dim_size_to_factor"'),
            "a Python number",
        ),
        (
            lambda: optcc.inject_hyperparams(cast(Any, optax.adafactor))(1e-3),
            ("adafactor", '"min_dim_size_to_factor"'),
            "a Python number",
        ),
        (lambda: optcc.inject_hyperparams(repeated)(0.1, 2), ("repeated", '"count", "factor"'), "Python numbers"),
        (lambda: optcc.inject_hyperparams(lambda n: repeated(0.1, n))(2), ("factory", '"n"'), "a Python number"),
        (lambda: optcc.inject_hyperparams(optcc.adamw)(0.1, mask=matrices_only), ("adamw", '"mask"'), "given"),
    ],
    ids=["factory", "definition", "optax", "two", "lambda", "function"],
)
def test_what_belongs_into_static_args(make: Any, names: tuple[str, str], kind: str):
    factory, arguments = names
    with pytest.raises(TypeError) as error:
        optcc.chain(optcc.identity(), make()).init(ragged(0))
    text = str(error.value)
    assert text.startswith(f"{factory} needs its argument")
    assert f" {arguments} as {kind} when the program is built" in text
    assert "where: chain[1] inject_hyperparams" in text
    assert f"fix:   inject_hyperparams({factory}, static_args=({arguments}{'' if ' ' in arguments else ','}))" in text


def test_the_advice_on_static_args_works():
    tx = optcc.inject_hyperparams(repeated, static_args=("count", "factor"))(0.1, 1)
    updates, _ = tx.update(ragged(1), tx.init(ragged(0)), ragged(0))
    same(updates, jax.tree.map(lambda x: 0.1 * (0.1 * x), ragged(1)), 1e-2, "static")


def test_an_error_of_another_kind_is_left_alone():
    """It would not go away with any argument as given."""
    tx = optcc.inject_hyperparams(lambda n: optcc.lookahead(optcc.sgd(0.1), n, 0.5))(5)
    with pytest.raises(ValueError, match=r"^lookahead needs LookaheadParams") as error:
        tx.update(ragged(1), tx.init(ragged(0)), ragged(0))
    assert not hasattr(error.value, "__notes__")


def test_hyperparameters_that_part_a_group():
    """The hyperparameter's dtype makes one leaf wider: the program is built again, and no argument is to blame."""
    mask, params = {"a": True, "b": False}, {"a": jnp.ones(3, jnp.bfloat16), "b": jnp.ones(3, jnp.bfloat16)}

    def updates(lib: Any) -> Any:
        def factory(rate: Any) -> Any:
            return lib.masked(lib.scale(rate), mask)

        tx = lib.inject_hyperparams(factory, hyperparam_dtype=jnp.float32)(0.1)
        return tx.update(params, tx.init(params), params)[0]

    found, expected = updates(optcc), updates(optax)
    assert {name: x.dtype for name, x in found.items()} == {"a": jnp.float32, "b": jnp.bfloat16}
    for name, x in expected.items():
        assert found[name].dtype == x.dtype
        np.testing.assert_array_equal(found[name], x)


def test_a_hyperparameter_inside_a_foreign_pair():
    """A foreign pair inside a chain of optcc's gets a value of the IR, which it cannot compute with."""
    scale: Any = optax.scale
    tx = optcc.inject_hyperparams(lambda rate: optcc.chain(scale(-rate), optcc.scale(1.0)))(0.1)
    with pytest.raises(TypeError, match="use only Python's operators"):
        tx.update(ragged(1), tx.init(ragged(0)), ragged(0))


def test_wrong_static_arguments():
    with pytest.raises(ValueError, match=r"names 'learning_rat'(?s:.)*did you mean 'learning_rate'\?"):
        optcc.inject_hyperparams(optcc.adam, static_args=("learning_rat",))
    with pytest.raises(TypeError, match=r"shape \[2\](?s:.)*static_args='step_size'"):
        optcc.inject_hyperparams(optcc.scale)(jnp.ones(2))


def test_the_inner_transformation_is_named_in_errors():
    tx = optcc.chain(optcc.identity(), optcc.apply_if_finite(inner(optcc), 1))
    params = ragged(0)
    with pytest.raises(ValueError, match=r"where: chain\[1\]\[inner\]\[1\]\[1\] add_decayed_weights"):
        tx.update(ragged(1), tx.init(params))
