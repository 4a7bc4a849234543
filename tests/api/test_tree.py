"""The functions of `optcc.tree` against Optax; lookups by name, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import DictKey, SequenceKey

import optcc
from optcc.tree_utils import NamedTupleKey
from tests.trees import assert_close

X: Any = {"a": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "b": (jnp.float32(-4.0), jnp.zeros((0, 2)), jnp.array([7, -8]))}
Y: Any = {"a": jnp.array([2.0, 3.0]) + X["a"], "b": (jnp.float32(5.0), jnp.ones((0, 2)), jnp.array([2, 3]))}
Z: Any = {"a": jnp.array([1 + 2j, -3j]), "b": jnp.array([2.0, -1.0])}
MIXED: Any = {"a": jnp.zeros(2, jnp.float32), "b": jnp.zeros(2, jnp.bfloat16)}
KEY = jax.random.key(3)

CALLS: dict[str, Callable[[Any], Any]] = {
    "add": lambda tree: tree.add(X, Y),
    "add_three": lambda tree: tree.add(X, Y, X),
    "add_scale": lambda tree: tree.add_scale(X, 0.5, Y),
    "add_scale_none": lambda tree: tree.add_scale({"a": None, "b": 1.0}, 0.5, {"a": None, "b": 2.0}),
    "allclose": lambda tree: tree.allclose(X, X),
    "allclose_not": lambda tree: tree.allclose(X, Y),
    "allclose_nan": lambda tree: tree.allclose([jnp.nan], [jnp.nan], equal_nan=True),
    "allclose_empty": lambda tree: tree.allclose((), ()),
    "batch_shape": lambda tree: tree.batch_shape(X, (2, 3)),
    "cast": lambda tree: tree.cast(X, jnp.bfloat16),
    "cast_none": lambda tree: tree.cast(X, None),
    "cast_like": lambda tree: tree.cast_like(MIXED, {"a": jnp.zeros((), jnp.float16), "b": 1.0}),
    "clip": lambda tree: tree.clip(X, -1, 2),
    "clip_above": lambda tree: tree.clip(X, max_value=2),
    "conj": lambda tree: tree.conj(Z),
    "div": lambda tree: tree.div(X, Y),
    "full_like": lambda tree: tree.full_like(X, 3),
    "full_like_dtype": lambda tree: tree.full_like(X, 3, jnp.float16),
    "max": lambda tree: tree.max(X),
    "max_empty": lambda tree: 1 / tree.max(()),
    "max_no_elements": lambda tree: 1 / tree.max(jnp.zeros(0)),
    "min": lambda tree: tree.min(X),
    "min_empty": lambda tree: 1 / tree.min({}),
    "mul": lambda tree: tree.mul(X, Y),
    "norm": lambda tree: tree.norm(X),
    "norm_complex": lambda tree: tree.norm(Z),
    "norm_squared": lambda tree: tree.norm(Z, squared=True),
    "norm_1": lambda tree: tree.norm(Z, 1),
    "norm_1_squared": lambda tree: tree.norm(X, ord=1, squared=True),
    "norm_inf": lambda tree: tree.norm(Z, "inf"),
    "norm_infinity": lambda tree: tree.norm(X, ord=jnp.inf),
    "norm_empty": lambda tree: tree.norm(()),
    "ones_like": lambda tree: tree.ones_like(X),
    "random_like": lambda tree: tree.random_like(KEY, Z),
    "random_like_sampler": lambda tree: tree.random_like(KEY, MIXED, jax.random.uniform, jnp.float16),
    "random_like_plain": lambda tree: tree.random_like(KEY, MIXED, lambda key, shape, dtype: jnp.ones(shape, dtype)),
    "real": lambda tree: tree.real(Z),
    "scale": lambda tree: tree.scale(0.5, X),
    "size": lambda tree: jnp.asarray(tree.size(X)),
    "split_key_like": lambda tree: jax.tree.map(jax.random.key_data, tree.split_key_like(KEY, X)),
    "sub": lambda tree: tree.sub(X, Y),
    "sum": lambda tree: tree.sum(X),
    "sum_empty": lambda tree: tree.sum(()),
    "sum_in_pairs": lambda tree: tree.sum(X, associative_reduction=True),
    "unwrap_random_key_data": lambda tree: tree.unwrap_random_key_data({"key": KEY, "x": X}),
    "vdot": lambda tree: tree.vdot(X, Y),
    "vdot_complex": lambda tree: tree.vdot(Z, jax.tree.map(lambda z: z + 1j, Z)),
    "vdot_empty": lambda tree: tree.vdot((), ()),
    "where": lambda tree: tree.where(jnp.array(True), X, Y),
    "where_elements": lambda tree: tree.where(jnp.array([True, False]), Z, {"a": jnp.zeros(2), "b": jnp.ones(2)}),
    "zeros_like": lambda tree: tree.zeros_like(X),
    "zeros_like_dtype": lambda tree: tree.zeros_like(X, jnp.int8),
}


@pytest.mark.parametrize("name", CALLS)
def test_equals_optax(name: str):
    got, expected = CALLS[name](optcc.tree), CALLS[name](optax.tree)
    assert_close(got, expected, limit=1, what=name)


DTYPES: list[tuple[str | None, list[Any]]] = [
    (None, [jnp.float32, jnp.float32]),
    ("promote", [jnp.bfloat16, jnp.float16]),
    ("highest", [jnp.bfloat16, jnp.float32, jnp.int8]),
    ("lowest", [jnp.bfloat16, jnp.float32]),
    ("lowest", []),
]


@pytest.mark.parametrize(("handler", "dtypes"), DTYPES)
def test_dtype_equals_optax(handler: str | None, dtypes: list[Any]):
    tree = [jnp.zeros(2, d) for d in dtypes]
    assert optcc.tree.dtype(tree, handler) == optax.tree.dtype(tree, handler)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "norm": (lambda: optcc.tree.norm(X, 3), "Unsupported ord: 3"),
    "vdot": (lambda: optcc.tree.vdot(jnp.ones(2), jnp.ones((2, 1))), r"shapes \(2,\) and \(2, 1\)"),
    "dtype": (lambda: optcc.tree.dtype(MIXED), r"Expected dtype=float32 .*\n.*\['b'\]: bfloat16"),
    "dtype_order": (lambda: optcc.tree.dtype([jnp.bfloat16(0), jnp.float16(0)], "highest"), "Cannot compare dtype"),
    "dtype_handler": (lambda: optcc.tree.dtype(X, "widest"), "Invalid value for mixed_dtype_handler='widest'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str):
    call, text = REFUSED[name]
    with pytest.raises(ValueError, match=text):
        call()


def test_gradient_of_squared_norm_at_zero():
    np.testing.assert_array_equal(jax.grad(lambda x: optcc.tree.norm(x, squared=True))(jnp.zeros(3)), 0.0)


# Lookups by name


class Inner(NamedTuple):
    count: Any
    mu: Any


class Outer(NamedTuple):
    count: Any
    inner: Any


STATE = (Outer(1, {"count": 2, "deep": [Inner(3, None)]}), (), [Inner(4, {"mu": 5})])


def test_everything_with_a_name():
    found = optcc.tree.get_all_with_path(STATE, "count")
    assert sorted(value for _, value in found) == [1, 2, 3, 4]
    assert found[0] == ((SequenceKey(0), NamedTupleKey("Outer", "count")), 1)
    path = (
        SequenceKey(0),
        NamedTupleKey("Outer", "inner"),
        DictKey("deep"),
        SequenceKey(0),
        NamedTupleKey("Inner", "count"),
    )
    assert (path, 3) in found
    assert str(path[-1]) == "Inner.count"


def test_classes_are_names():
    assert [value for _, value in optcc.tree.get_all_with_path(STATE, "Inner")] == [Inner(3, None), Inner(4, {"mu": 5})]
    assert optcc.tree.get(STATE, "Outer") is STATE[0]


def test_a_value_inside_a_value_of_that_name():
    assert [v for _, v in optcc.tree.get_all_with_path(STATE[2], "mu")] == [{"mu": 5}, 5]


def test_one_by_name():
    assert optcc.tree.get(STATE, "deep") == [Inner(3, None)]
    assert optcc.tree.get(STATE, "missing") is None
    assert optcc.tree.get(STATE, "missing", default=7) == 7
    assert optcc.tree.get(STATE, "count", filtering=lambda path, value: value == 4) == 4
    with pytest.raises(KeyError, match="Found multiple values for 'count'"):
        optcc.tree.get(STATE, "count")


def test_replaced_by_name():
    new = optcc.tree.set(STATE, count=0, deep="gone")
    assert new == (Outer(0, {"count": 0, "deep": "gone"}), (), [Inner(0, {"mu": 5})])
    only = optcc.tree.set(STATE, lambda path, value: value == 4, count=0)
    assert only == (STATE[0], (), [Inner(0, {"mu": 5})])
    assert optcc.tree.set(STATE, Inner=None) == (Outer(1, {"count": 2, "deep": [None]}), (), [None])
    assert STATE[0].count == 1


def test_replacing_what_is_not_there():
    with pytest.raises(KeyError, match="Found no values matching 'missing'"):
        optcc.tree.set(STATE, missing=1)
    with pytest.raises(KeyError, match="given the filtering operation"):
        optcc.tree.set(STATE, lambda path, value: False, count=1)


def test_state_of_a_chain():
    params = jnp.ones(3)
    state = optcc.chain(optcc.clip(1.0), optcc.adam(1e-3)).init(params)
    assert optcc.tree.get(state, "ScaleByAdamState") is state[1][0]
    new = optcc.tree.set(state, count=jnp.int32(5))
    assert int(optcc.tree.get(new, "count")) == 5
    assert jax.tree.structure(new) == jax.tree.structure(state)


def test_former_names():
    tree_utils = optcc.tree_utils
    calls = [
        (lambda: tree_utils.tree_scalar_mul(2.0, X), optcc.tree.scale(2.0, X)),
        (lambda: tree_utils.tree_add_scalar_mul(X, 2.0, Y), optcc.tree.add_scale(X, 2.0, Y)),
        (lambda: tree_utils.tree_l1_norm(X), optcc.tree.norm(X, 1)),
        (lambda: tree_utils.tree_l2_norm(X, squared=True), optcc.tree.norm(X, squared=True)),
        (lambda: tree_utils.tree_linf_norm(X), optcc.tree.norm(X, "inf")),
    ]
    for call, expected in calls:
        with pytest.warns(DeprecationWarning, match="use tree_"):
            assert_close(call(), expected, limit=0, what="former name")
