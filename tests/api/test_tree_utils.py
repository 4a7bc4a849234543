"""Moving averages over trees, mapping over states, slow copies and skip tests, against Optax."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.tree_utils.states import ParamsPlaceholder
from tests.table.row import not_scalars
from tests.trees import assert_close, matrices_only, ragged

Call = Callable[[Any, Any, Any], Any]


def moments(seed: int) -> Any:
    return jax.tree.map(jnp.abs, ragged(seed))


LIBS: tuple[Any, Any] = (optcc, optax)
AVERAGES: dict[str, Call] = {
    "update_moment": lambda lib, g, m: lib.update_moment(g, m, 0.8, 1),
    "update_moment_2": lambda lib, g, m: lib.update_moment(g, m, 0.8, 2),
    "update_moment_per_elem_norm": lambda lib, g, m: lib.update_moment_per_elem_norm(g, m, 0.8, 2),
    "update_moment_per_elem_norm_3": lambda lib, g, m: lib.update_moment_per_elem_norm(g, m, 0.8, 3),
    "update_infinity_moment": lambda lib, g, m: lib.update_infinity_moment(g, m, 0.8, 0.1),
    "bias_correction": lambda lib, g, m: lib.bias_correction(m, 0.8, jnp.int32(3)),
    "bias_correction_python_count": lambda lib, g, m: lib.bias_correction(m, 0.8, 3),
    "incremental_update": lambda lib, g, m: lib.incremental_update(g, m, 0.3),
    "periodic_update": lambda lib, g, m: lib.periodic_update(g, m, jnp.int32(6), 3),
    "periodic_update_between": lambda lib, g, m: lib.periodic_update(g, m, jnp.int32(7), 3),
}
averages = pytest.mark.parametrize("name", AVERAGES)


@averages
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_average_equals_optax(name: str, dtype: Any):
    g, m = ragged(1, dtype), jax.tree.map(jnp.abs, ragged(2, dtype))
    assert_close(AVERAGES[name](optcc, g, m), AVERAGES[name](optax, g, m), limit=0, what=name)


@averages
def test_average_under_jit_and_grad_equals_optax(name: str):
    def loss(lib: Any, g: Any, m: Any) -> Any:
        return sum(jnp.sum(jnp.sin(x)) for x in jax.tree.leaves(AVERAGES[name](lib, g, m)))

    got, expected = (jax.jit(jax.grad(partial(loss, lib), argnums=(0, 1)))(ragged(1), moments(2)) for lib in LIBS)
    assert_close(got, expected, limit=2, what=name)


@pytest.mark.parametrize("name", [n for n in AVERAGES if n.startswith(("update", "incremental"))])
def test_average_of_none_is_none(name: str):
    got = AVERAGES[name](optcc, {"a": None, "b": jnp.ones(2)}, {"a": jnp.ones(2), "b": jnp.ones(2)})
    assert got["a"] is None
    assert got["b"].shape == (2,)


@pytest.mark.parametrize("order", [1, 2, 3, 2.0])
def test_moment_of_complex_norm(order: float):
    g = {"w": jnp.array([1 + 2j, -3j, 0j])}
    m = {"w": jnp.ones(3)}
    got, expected = (lib.update_moment_per_elem_norm(g, m, 0.8, order) for lib in LIBS)
    assert got["w"].dtype == jnp.float32
    np.testing.assert_array_equal(got["w"], expected["w"])
    np.testing.assert_allclose(got["w"], 0.2 * np.abs(np.asarray(g["w"])) ** order + 0.8, rtol=1e-6)


def test_bias_correction_is_computed_in_float32():
    """In bfloat16 0.999 would round to 1, and the correction be a division by zero."""
    got = optcc.bias_correction({"w": jnp.ones(2, jnp.bfloat16)}, 0.999, 1)["w"]
    assert got.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(got, np.float32), 1000, rtol=1e-2)


@pytest.mark.parametrize("renew", [True, False])
def test_periodic_update_takes_no_part_of_the_other(renew: bool):
    """Neither a NaN nor its gradient comes through from the side that is not taken."""
    good, bad = jnp.ones(2), jnp.full(2, jnp.nan)
    new, old = (good, bad) if renew else (bad, good)
    steps = 6 if renew else 7

    def loss(x: jax.Array) -> jax.Array:
        return jnp.sum(optcc.periodic_update(*((x, old) if renew else (new, x)), steps, 3))

    value, gradient = jax.value_and_grad(loss)(good)
    assert value == 2
    np.testing.assert_array_equal(gradient, good)


# Skip tests


@pytest.mark.parametrize("bad", [0.0, jnp.nan, jnp.inf, -jnp.inf])
def test_skip_not_finite(bad: float):
    updates = ragged(1) | {"odd": jnp.full((3, 5), bad)}
    (skip, info), expected = (lib.skip_not_finite(updates, jnp.int32(3), None) for lib in LIBS)
    assert bool(skip) == bool(info["should_skip"]) == (bad != 0.0) == bool(expected[0])
    assert int(info["num_not_finite"]) == (15 if bad else 0)
    assert jax.tree.map(jnp.result_type, info) == jax.tree.map(jnp.result_type, expected[1])


@pytest.mark.parametrize(("value", "skips"), [(1.0, False), (2.0, True), (3.0, True), (jnp.nan, True)])
def test_skip_large_updates(value: float, skips: bool):
    """At the bound it skips, and for a NaN."""
    updates = {"a": jnp.array([value]), "b": jnp.zeros((0, 3))}
    test = partial(optcc.skip_large_updates, max_squared_norm=4.0)
    skip, info = jax.jit(test)(updates, 0, None)
    expected: Any = optax.skip_large_updates(updates, 0, None, 4.0)
    assert bool(skip) == bool(info["should_skip"]) == skips == bool(expected[0])
    np.testing.assert_array_equal(info["norm_squared"], expected[1]["norm_squared"])


@pytest.mark.parametrize("test", [optcc.skip_not_finite, partial(optcc.skip_large_updates, max_squared_norm=1.0)])
def test_skip_tests_take_an_empty_tree(test: optcc.ShouldSkipUpdateFunction):
    skip, info = test({}, 0, None)
    assert not bool(skip)
    assert jax.tree.map(jnp.result_type, info) == jax.tree.map(jnp.result_type, test({"a": jnp.ones(2)}, 0, None)[1])


# Mapping over states


def masked_chain(lib: Any, mask: Any) -> Any:
    return lib.chain(
        lib.clip(1.0),
        lib.masked(lib.trace(0.9), mask),
        lib.adamw(lib.constant_schedule(0.1), mask=mask),
        lib.zero_nans(),
    )


def is_masked(x: Any) -> bool:
    return isinstance(x, optcc.MaskedNode | optax.MaskedNode)


def labels(tree: Any) -> Any:
    return jax.tree.map(lambda x: f"p{x.ndim}", tree)


@pytest.mark.parametrize("as_tree", [False, True], ids=["function", "tree"])
@pytest.mark.parametrize("mask", [matrices_only, not_scalars])
def test_tree_map_params_equals_optax(as_tree: bool, mask: Any):
    """Parameters' leaves get the label of their parameter, the masked ones too; all others another."""
    params = ragged(0)
    found = []
    for lib in LIBS:
        tx = masked_chain(lib, mask(params) if as_tree else mask)
        state = tx.init(params)
        found.append(
            lib.tree_map_params(
                tx,
                lambda x, label: "masked" if is_masked(x) else label,
                state,
                labels(params),
                transform_non_params=lambda x: "other",
                is_leaf=is_masked,
            )
        )
    assert str(found[0]) == str(found[1])
    ours = found[0]
    expected = jax.tree.map(lambda label, on: label if on else "masked", labels(params), mask(params))
    assert ours[1].inner_state.trace == expected
    assert (ours[2][0].count, ours[2][2].count) == ("other", "other")
    assert ours[2][0].mu == ours[3].found_nan == labels(params)


def test_tree_map_params_keeps_other_leaves_and_takes_an_init():
    params = ragged(0)
    tx = optcc.adam(0.1)
    state = tx.init(params)
    for initable in (tx, tx.init):
        got = optcc.tree_map_params(initable, lambda x: x + 1, state)
        assert int(got[0].count) == 0
        assert_close(got[0].nu, jax.tree.map(jnp.ones_like, params), limit=0)


def test_tree_map_params_of_the_other_library():
    """Each library's function maps over the state of the other's transformation, and over a chain of both."""
    params = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
    foreign: Any = optax.scale_by_adam()
    chains: list[Any] = [
        optcc.chain(foreign, optcc.masked(optcc.trace(0.9), matrices_only)),
        optcc.masked(optcc.trace(0.9), {"w": True, "b": False}),
        optax.adam(0.1),
    ]
    for tx in chains:
        state = tx.init(params)
        ours, theirs = (lib.tree_map_params(tx, lambda x: "p", state, transform_non_params=str) for lib in LIBS)
        assert str(ours) == str(theirs)
        assert "p" in jax.tree.leaves(ours)


def test_placeholder_is_kept_by_maps():
    placeholder = ParamsPlaceholder()
    assert jax.tree.leaves(placeholder) == []
    assert jax.tree.map(jnp.zeros_like, {"a": placeholder}) == {"a": placeholder}
    assert jax.tree.structure(placeholder) == jax.tree.structure(ParamsPlaceholder())
