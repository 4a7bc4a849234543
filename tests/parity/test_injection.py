"""Injected hyperparameters: values in the state, what a factory may do with them, and the text of every error."""

from __future__ import annotations

import ast
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.expressions.functions import callables
from tests.parity.states import move, names
from tests.parity.trajectories import same
from tests.table import LISTED, Row
from tests.table.row import secondary
from tests.trees import matrices_only, ragged


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
        sizes.append(opt._made.steps[False, False, False, True]._cache_size())
    assert sizes == [sizes[0]] * 3


def test_a_number_may_be_assigned_to_a_hyperparameter():
    params = {"w": jnp.ones(3)}
    tx = optcc.inject_hyperparams(optcc.sgd)(0.1)
    state = tx.init(params)
    state.hyperparams["learning_rate"] = 0.25
    updates, state = tx.update(params, state, params)
    assert float(updates["w"][0]) == -0.25
    assert state.hyperparams["learning_rate"] == 0.25


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_hyperparameters_are_float32_at_least(dtype: Any):
    given = {"learning_rate": 0.1, "decay": 0.8, "eps": 1e-3, "initial_scale": 0.3, "centered": True}
    params = {"w": jnp.ones(3, dtype)}
    state = optcc.inject_hyperparams(optcc.rmsprop)(**given).init(params)
    expected: Any = optax.inject_hyperparams(optax.rmsprop, hyperparam_dtype=jnp.float32)(**given).init(params)
    same(state.hyperparams, expected.hyperparams, 0.0, "hyperparams")
    assert set(state.hyperparams) == set(expected.hyperparams)


@pytest.mark.parametrize("row", [secondary(row) for row in LISTED if row.is_optimizer and not row.examples])
@pytest.mark.filterwarnings('ignore:"seed" is deprecated:DeprecationWarning')
def test_every_optimizer_takes_injected_hyperparameters(row: Row):
    call: Any = ast.parse(row.listed, mode="eval").body
    args = [0.1, *(ast.literal_eval(x) for x in call.args[1:])]
    keywords = {x.arg: ast.literal_eval(x.value) for x in call.keywords}
    factory, leaves = callables()[row.function], row.leaves[0]
    ours = optcc.inject_hyperparams(factory, static_args=row.static)(*args, **keywords)
    plain = factory(*args, **keywords)
    params = leaves.fill(0)
    state, expected_state = ours.init(params), plain.init(params)
    for step in range(3):
        updates, state = ours.update(leaves.fill(step + 1), state, params, **row.extra(step))
        expected, expected_state = plain.update(leaves.fill(step + 1), expected_state, params, **row.extra(step))
        if not row.discrete:
            same(updates, expected, 1e-4, row.name)


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


def test_a_wrapped_schedule_counts_by_itself():
    ours, theirs = (
        make(lib.sgd)(lib.WrappedSchedule(lib.exponential_decay(0.1, 2, 0.5)))
        for lib, make in ((optcc, optcc.inject_stateful_hyperparams), (optax, optax.inject_hyperparams))
    )
    params = ragged(0)
    state, expected_state = ours.init(params), theirs.init(params)
    for step in range(3):
        updates, state = ours.update(ragged(step + 1), state, params)
        expected, expected_state = theirs.update(ragged(step + 1), expected_state, params)
        same((updates, state), (expected, expected_state), 1e-6, f"step {step}")


def test_a_deprecated_optimizer_warns_and_is_the_newer_one():
    params = ragged(0)
    with pytest.warns(DeprecationWarning, match="use `optimistic_adam_v2` instead"):
        old = optcc.optimistic_adam(0.1, 0.3)
    new = optcc.optimistic_adam_v2(1.0, alpha=0.1, beta=0.3)
    same(old.update(params, old.init(params)), new.update(params, new.init(params)), 0.0, "optimistic_adam")
    with pytest.warns(DeprecationWarning, match="v2"), pytest.raises(ValueError, match="takes no schedule"):
        optcc.optimistic_adam(optcc.constant_schedule(0.1))  # pyright: ignore[reportArgumentType]
