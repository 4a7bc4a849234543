"""Every schedule against Optax 0.2.8: values, gradients, types; and the promise that the compiler can read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc import schedules

# Before the start, at and next to every boundary of the cases below, and after their end.
COUNTS = np.array([-3, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 19, 20, 21, 29, 30, 31, 40, 99, 1000])

CYCLE = {"init_value": 0.02, "peak_value": 0.3, "warmup_steps": 3, "decay_steps": 10, "end_value": 0.1, "exponent": 1.7}

# The case with most to differentiate first, for every name.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("constant_schedule", {"value": 0.3}),
    ("constant_schedule", {"value": 2}),
    ("linear_schedule", {"init_value": 0.9, "end_value": 0.07, "transition_steps": 10, "transition_begin": 3}),
    ("linear_schedule", {"init_value": 0.1, "end_value": 0.7, "transition_steps": 9}),
    ("linear_schedule", {"init_value": 3, "end_value": 1, "transition_steps": 7}),
    (
        "polynomial_schedule",
        {"init_value": 0.3, "end_value": 0.9, "power": 2.5, "transition_steps": 13, "transition_begin": 6},
    ),
    ("polynomial_schedule", {"init_value": 0.3, "end_value": 0.02, "power": 2, "transition_steps": 10}),
    (
        "polynomial_schedule",
        {"init_value": 0.3, "end_value": 0.9, "power": 3, "transition_steps": 10, "transition_begin": -2},
    ),
    ("polynomial_schedule", {"init_value": 0.3, "end_value": 0.9, "power": 2.0, "transition_steps": 0}),
    ("polynomial_schedule", {"init_value": 0.3, "end_value": 0.9, "power": 2.0, "transition_steps": -4}),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 5, "decay_rate": 1.3, "end_value": 1.1}),
    (
        "exponential_decay",
        {
            "init_value": 0.3,
            "transition_steps": 4,
            "decay_rate": 0.7,
            "transition_begin": 3,
            "staircase": True,
            "end_value": 0.05,
        },
    ),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 7, "decay_rate": 0.83}),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 5, "decay_rate": 1.0, "end_value": 0.2}),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 5, "decay_rate": 0.9, "transition_begin": -7}),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": 0, "decay_rate": 0.9}),
    ("exponential_decay", {"init_value": 0.3, "transition_steps": -2, "decay_rate": 0.9, "end_value": 0.8}),
    ("cosine_decay_schedule", {"init_value": 0.3, "decay_steps": 11, "alpha": 0.2, "exponent": 1.6}),
    ("cosine_decay_schedule", {"init_value": 0.3, "decay_steps": 20}),
    ("piecewise_constant_schedule", {"init_value": 0.3, "boundaries_and_scales": {20: 0.3, 4: 0.7, 11: 2.0}}),
    ("piecewise_constant_schedule", {"init_value": 0.3}),
    ("piecewise_constant_schedule", {"init_value": 0.3, "boundaries_and_scales": {0: 0.7, 9: 0.0}}),
    ("piecewise_constant_schedule", {"init_value": 2, "boundaries_and_scales": {5: 3}}),
    *[
        (
            "piecewise_interpolate_schedule",
            {"interpolate_type": kind, "init_value": 0.3, "boundaries_and_scales": boundaries},
        )
        for boundaries in ({20: 0.3, 4: 1.7}, {9: 0.7}, {0: 0.7, 10: 0.1}, {3: 0.4, 7: 0.9, 30: 0.0})
        for kind in ("linear", "cosine")
    ],
    ("piecewise_interpolate_schedule", {"interpolate_type": "linear", "init_value": 0.3}),
    ("piecewise_interpolate_schedule", {"interpolate_type": "cosine", "init_value": 0.3, "boundaries_and_scales": {}}),
    (
        "linear_onecycle_schedule",
        {
            "transition_steps": 21,
            "peak_value": 0.3,
            "pct_start": 0.45,
            "pct_final": 0.7,
            "div_factor": 7.0,
            "final_div_factor": 90.0,
        },
    ),
    (
        "cosine_onecycle_schedule",
        {"transition_steps": 21, "peak_value": 0.3, "pct_start": 0.45, "div_factor": 7.0, "final_div_factor": 90.0},
    ),
    ("linear_onecycle_schedule", {"transition_steps": 30, "peak_value": 0.3}),
    # So few steps that intervals have length zero.
    *[("linear_onecycle_schedule", {"transition_steps": steps, "peak_value": 0.3}) for steps in (1, 2, 3)],
    ("cosine_onecycle_schedule", {"transition_steps": 30, "peak_value": 0.3}),
    *[("cosine_onecycle_schedule", {"transition_steps": steps, "peak_value": 0.3}) for steps in (1, 2, 3)],
    ("warmup_cosine_decay_schedule", CYCLE),
    (
        "warmup_cosine_decay_schedule",
        {"init_value": 0.3, "peak_value": 0.0, "warmup_steps": 4, "decay_steps": 20, "end_value": 0.2},
    ),
    ("warmup_cosine_decay_schedule", {"init_value": 0.3, "peak_value": 0.7, "warmup_steps": 0, "decay_steps": 12}),
    (
        "warmup_exponential_decay_schedule",
        {"init_value": 0.03, "peak_value": 0.4, "warmup_steps": 5, "transition_steps": 6, "decay_rate": 0.77},
    ),
    (
        "warmup_exponential_decay_schedule",
        {
            "init_value": 0.03,
            "peak_value": 0.4,
            "warmup_steps": 3,
            "transition_steps": 4,
            "decay_rate": 0.5,
            "transition_begin": 6,
            "staircase": True,
            "end_value": 0.02,
        },
    ),
    ("sgdr_schedule", {"cosine_kwargs": [CYCLE, {**CYCLE, "peak_value": 0.11, "decay_steps": 20}, CYCLE]}),
    (
        "sgdr_schedule",
        {"cosine_kwargs": [{"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 0, "decay_steps": 9}]},
    ),
]

all_cases = pytest.mark.parametrize(("name", "kwargs"), CASES, ids=[f"{i}-{name}" for i, (name, _) in enumerate(CASES)])


FIRST_CASES = dict(reversed(CASES))
first_cases = pytest.mark.parametrize(("name", "kwargs"), FIRST_CASES.items(), ids=FIRST_CASES.keys())


def ours(name: str) -> Callable[..., optax.Schedule]:
    return getattr(schedules, name)


def joined(library: Any) -> optax.Schedule:
    return library.join_schedules(
        [
            library.constant_schedule(0.3),
            library.linear_schedule(0.3, 0.9, 5),
            library.exponential_decay(0.9, 6, 0.5),
            library.cosine_decay_schedule(0.8, 9, 0.1),
        ],
        [4, 11, 20],
    )


def assert_ulps(actual: Any, expected: Any, limit: int = 2) -> None:
    np.testing.assert_array_max_ulp(np.asarray(actual, np.float32), np.asarray(expected, np.float32), limit)


@all_cases
def test_values(name: str, kwargs: dict[str, Any]) -> None:
    counts = jnp.asarray(COUNTS, jnp.int32)
    actual, expected = (jax.vmap(make(**kwargs))(counts) for make in (ours(name), getattr(optax, name)))
    assert np.isfinite(actual).all()
    assert_ulps(actual, expected)


@all_cases
def test_shape_and_dtype(name: str, kwargs: dict[str, Any]) -> None:
    """Weak types count: they decide the dtype of the product with a bfloat16 array."""
    count = jax.ShapeDtypeStruct((), jnp.int32)
    actual, expected = (jax.eval_shape(make(**kwargs), count) for make in (ours(name), getattr(optax, name)))
    assert (actual.shape, actual.dtype, actual.weak_type) == (expected.shape, expected.dtype, expected.weak_type)


@first_cases
def test_kinds_of_count(name: str, kwargs: dict[str, Any]) -> None:
    """A Python number, a NumPy one, an array of any shape (which Optax does not take everywhere)."""
    schedule = ours(name)(**kwargs)
    counts = jnp.asarray(COUNTS, jnp.int32)
    values = jnp.asarray(jax.vmap(schedule)(counts))
    # A constant schedule returns its own scalar.
    np.testing.assert_array_equal(jnp.broadcast_to(schedule(counts), counts.shape), values)
    eight = values[list(COUNTS).index(8)]
    for count in (8, np.int64(8)):
        assert jnp.asarray(schedule(count), jnp.float32) == eight


# Arguments that one of the libraries, or both, must know when it builds the schedule.
STATIC = {"pct_start", "pct_final", "div_factor", "final_div_factor", "decay_rate", "boundaries_and_scales"}


@first_cases
def test_gradients(name: str, kwargs: dict[str, Any]) -> None:
    """In the step, and in the float arguments that may be traced."""
    static = STATIC | ({"peak_value"} if "onecycle" not in name else set())
    floats = {key: value for key, value in kwargs.items() if isinstance(value, float) and key not in static}

    def slopes(make: Callable[..., optax.Schedule], counts: jax.Array, floats: dict[str, Any]) -> Any:
        def value(count: jax.Array, floats: dict[str, Any]) -> jax.Array:
            return jnp.asarray(make(**{**kwargs, **floats})(count), jnp.float32)

        return jax.vmap(jax.grad(value, argnums=(0, 1)), (0, None))(counts, floats)

    # One compilation for both is quicker than eager operations, but rounds each in its own way.
    both = jax.jit(lambda *args: [slopes(make, *args) for make in (ours(name), getattr(optax, name))])
    actual, expected = both(jnp.asarray(COUNTS, jnp.float32), floats)
    assert jax.tree.leaves(actual)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), actual, expected)


def test_gradient_at_an_interval_of_length_zero() -> None:
    schedule = schedules.piecewise_interpolate_schedule("linear", 0.3, {0: 0.5, 10: 0.2})
    slopes = jax.vmap(jax.grad(schedule))(jnp.asarray([0.0, 4.0, 12.0]))
    np.testing.assert_allclose(slopes, [-0.012, -0.012, 0], rtol=1e-5)


def test_gradient_in_factors() -> None:
    decay, scaled = (
        jax.grad(lambda rate: jnp.asarray(schedules.exponential_decay(0.3, 4, rate)(6)))(0.7),
        jax.grad(lambda scale: jnp.asarray(schedules.piecewise_constant_schedule(0.3, {2: scale, 4: 0.5})(6)))(0.7),
    )
    np.testing.assert_allclose(decay, 0.3 * 1.5 * 0.7**0.5, rtol=1e-6)
    np.testing.assert_allclose(scaled, 0.15, rtol=1e-6)


def test_join_schedules() -> None:
    counts = jnp.asarray(COUNTS, jnp.int32)
    assert_ulps(jax.vmap(joined(schedules))(counts), jax.vmap(joined(optax))(counts))
    floats = jnp.asarray(COUNTS, jnp.float32)
    actual, expected = jax.jit(lambda x: [jax.vmap(jax.grad(joined(library)))(x) for library in (schedules, optax)])(
        floats
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert_scalar_arithmetic(joined(schedules))
    one = schedules.join_schedules([schedules.constant_schedule(0.3)], [])
    assert one(5) == 0.3
    equal = schedules.join_schedules([schedules.constant_schedule(float(i)) for i in range(3)], [4, 4])
    assert [equal(count) for count in (3, 4, 5)] == [0.0, 2.0, 2.0]


def test_exponential_decay_of_rate_zero_is_constant() -> None:
    # Apart from CASES: with a traced rate neither library can see the zero.
    for library in (schedules, optax):
        assert library.exponential_decay(0.3, 5, 0.0, end_value=0.9)(7) == 0.3


def test_interpolation_between_more_than_three_values() -> None:
    # Optax multiplies the factors in another order from the fourth value on: exact to the ulp of the larger end only.
    boundaries = {3: 0.4, 7: 1.9, 12: 0.7, 20: 0.3, 29: 2.1}
    counts = jnp.asarray(COUNTS, jnp.int32)
    for kind in ("linear", "cosine"):
        values = [
            jax.vmap(library.piecewise_interpolate_schedule(kind, 0.3, boundaries))(counts)
            for library in (schedules, optax)
        ]
        np.testing.assert_allclose(values[0], values[1], rtol=0, atol=2 * float(np.spacing(np.float32(0.3))))


def test_steps_beyond_float32_integers_are_told_apart() -> None:
    begin = 2**25
    for make in (schedules.linear_schedule, optax.linear_schedule):
        assert_ulps(make(1.0, 0.0, 4, begin)(jnp.int32(begin + 1)), 0.75, 0)


def test_traced_peak_value_serves_zero_too() -> None:
    @jax.jit
    def at_steps(peak: jax.Array) -> jax.Array:
        return jnp.asarray(schedules.warmup_cosine_decay_schedule(0.1, peak, 2, 10, end_value=0.05)(jnp.arange(12)))

    for peak in (0.4, 0.0):
        expected = jax.jit(optax.warmup_cosine_decay_schedule(0.1, peak, 2, 10, end_value=0.05))(jnp.arange(12))
        np.testing.assert_allclose(at_steps(jnp.float32(peak)), expected, rtol=3e-6, atol=1e-8)
    assert np.isfinite(jax.jacrev(at_steps)(jnp.float32(0.0))).all()


@pytest.mark.parametrize(
    ("name", "args", "text"),
    [
        ("cosine_decay_schedule", (0.1, 0), "decay_steps must be positive, got 0"),
        ("cosine_decay_schedule", (0.1, -1), "decay_steps must be positive, got -1"),
        ("join_schedules", ([], []), "no schedule given"),
        ("join_schedules", ([abs], [3]), r"1 schedules need 0 boundaries, got 1: \[3\]"),
        ("join_schedules", ([abs, abs], []), r"2 schedules need 1 boundaries, got 0: \[\]"),
        ("join_schedules", ([abs, abs, abs], [5, 2]), r"must not decrease, got \[5, 2\]"),
        ("piecewise_constant_schedule", (0.1, {3: 0.5, 7: -0.5}), r"must not be negative, got \{7: -0.5\}"),
        ("piecewise_interpolate_schedule", ("linear", 0.1, {3: -0.5}), r"must not be negative, got \{3: -0.5\}"),
        ("piecewise_interpolate_schedule", ("spline", 0.1, {3: 0.5}), "unknown interpolate_type 'spline'"),
        ("linear_onecycle_schedule", (0, 0.1), "transition_steps must be positive, got 0"),
        ("cosine_onecycle_schedule", (-5, 0.1), "transition_steps must be positive, got -5"),
        ("linear_onecycle_schedule", (10, 0.1, 0.9, 0.3), r"within 0 and 1, got \(0.9, 0.3\)"),
        ("linear_onecycle_schedule", (10, 0.1, 0.9, 1.3), r"within 0 and 1, got \(0.9, 1.3\)"),
        ("cosine_onecycle_schedule", (10, 0.1, 30), r"within 0 and 1, got \(30,\)"),
        ("cosine_onecycle_schedule", (10, 0.1, 0.3, 0.0), r"must be positive, got \(0.0, 10000.0\)"),
        ("linear_onecycle_schedule", (10, 0.1, 0.3, 0.8, 5.0, -1.0), r"must be positive, got \(5.0, -1.0\)"),
        ("warmup_cosine_decay_schedule", (0.0, 0.1, 20, 20), "got decay_steps=20, warmup_steps=20"),
        ("sgdr_schedule", ([],), "no cycle given"),
    ],
)
def test_refusals(name: str, args: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: .*{text}[^\n]*\n  fix:   \w"):
        ours(name)(*args)


SCALAR_PRIMITIVES = {
    *("add", "sub", "mul", "div", "neg", "sign", "max", "min", "clamp", "floor", "pow", "integer_pow", "exp", "log"),
    *("cos", "select_n", "eq", "ne", "lt", "le", "gt", "ge", "and", "or", "not", "convert_element_type"),
}


def equations(jaxpr: Any) -> Iterator[Any]:
    """All equations, with the calls that `jax.numpy` functions make of themselves opened."""
    for equation in jaxpr.eqns:
        if "jaxpr" in equation.params:
            yield from equations(equation.params["jaxpr"].jaxpr)
        else:
            yield equation


def assert_scalar_arithmetic(schedule: optax.Schedule) -> None:
    closed = jax.make_jaxpr(schedule)(jnp.int32(3))
    assert not closed.consts
    for equation in equations(closed.jaxpr):
        assert equation.primitive.name in SCALAR_PRIMITIVES
        assert all(variable.aval.shape == () for variable in [*equation.invars, *equation.outvars])
