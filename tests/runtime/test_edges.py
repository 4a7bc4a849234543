"""Values and inputs at the edges, each found in use."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.contrib import MuonDimensionNumbers, muon

PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}


@jax.tree_util.register_pytree_node_class
class Model:
    """A container with a call method, as models are."""

    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b

    def __call__(self, x: Any) -> Any:
        raise AssertionError("a model of labels or flags was called")

    def tree_flatten(self) -> tuple[tuple[Any, Any], None]:
        return (self.w, self.b), None

    @classmethod
    def tree_unflatten(cls, _: None, children: tuple[Any, Any]) -> Model:
        return cls(*children)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optcc.multi_transform({"a": optcc.sgd(1.0), "b": optcc.set_to_zero()}, Model("a", "b")),
        lambda: optcc.masked(optcc.sgd(1.0), Model(True, False)),
        lambda: optcc.transforms.selective_transform(optcc.sgd(1.0), freeze_mask=Model(False, True)),
        lambda: optcc.inject_hyperparams(optcc.adamw)(1e-3, mask=Model(True, False)),
        lambda: muon(1e-3, muon_weight_dimension_numbers=Model(MuonDimensionNumbers(), None)),
    ],
    ids=["labels", "mask", "freeze", "injected", "muon"],
)
def test_containers_that_are_callable_are_read(make: Any) -> None:
    model = Model(jnp.ones((4, 3)), jnp.ones(3))
    tx = make()
    updates, _ = tx.update(model, tx.init(model), model)
    assert np.any(np.asarray(updates.w) != np.asarray(model.w))


def hasty(count: Any) -> float:
    return 0.1 if count < 10 else 0.01


def test_a_schedule_that_decides_in_python() -> None:
    tx = optcc.chain(optcc.trace(0.9), optcc.scale_by_learning_rate(hasty))
    with pytest.raises(TypeError) as caught:
        optcc.compile(tx, PARAMS).ir()
    first, where, fix = str(caught.value).splitlines()
    assert first == "a schedule asks in Python what the count is, which is known only when the step runs"
    assert "chain[1] scale_by_schedule" in where
    assert "jnp.where" in fix


@pytest.mark.parametrize("wrong", [{"learning_rate": "fast"}, {"learning_rate": 0.1, "b1": "slow"}])
def test_a_text_for_an_injected_number(wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"must be a number or a 0-d array[^\n]*\n *where: inject_hyperparams\(adamw"):
        optcc.inject_hyperparams(optcc.adamw)(**wrong)


def test_an_exported_step_is_portable() -> None:
    """By default JAX writes a file of plain StableHLO, without a word about custom calls."""
    opt = optcc.compile(optcc.adam(1e-2), PARAMS)
    state = opt.init(PARAMS)
    step = jax.jit(lambda g, leaves, p: opt.update(g, jax.tree.unflatten(jax.tree.structure(state), leaves), p)[0])
    arguments = PARAMS, jax.tree.leaves(state), PARAMS
    exported = jax.export.export(step)(*arguments)
    assert "custom_call" not in exported.mlir_module()
    for a, b in zip(jax.tree.leaves(exported.call(*arguments)), jax.tree.leaves(step(*arguments)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
@pytest.mark.parametrize("value", [1e-25, 1e25])
@pytest.mark.parametrize("layout", ["tree", "packed"])
def test_a_leaf_of_one_element_whose_square_is_no_number(shape: Any, value: float, layout: str) -> None:
    """The norm is the root of the square on every backend; XLA takes the absolute value."""
    params, grads = {"a": jnp.full(shape, value), "b": jnp.ones(3)}, {"a": jnp.ones(shape), "b": jnp.ones(3)}
    got = []
    for backend in ("native", "stablehlo"):
        opt = optcc.compile(optcc.lamb(1.0), params, backend=backend, layout=layout)
        got.append(opt.step(grads, opt.init(params), params, donate=False)[0]["a"])
    opt = optcc.compile(optcc.lamb(1.0), params)
    expected = opt.interpret_step(grads, opt.init(params), params)[0]["a"]
    np.testing.assert_array_equal(got, [expected, expected])


@pytest.mark.parametrize("mask", [{"w": True, "b": False}, {"w": False, "b": True}, {"w": False, "b": False}])
@pytest.mark.parametrize("real", [False, True])
def test_split_around_a_mask(mask: dict[str, bool], real: bool) -> None:
    params = {"w": jnp.full((2, 2), 1 + 2j, jnp.complex64), "b": jnp.ones(2, jnp.float32 if real else jnp.complex64)}
    ours = optcc.contrib.split_real_and_imaginary(optcc.masked(optcc.adam(1e-1), mask))
    theirs = optax.contrib.split_real_and_imaginary(optax.masked(optax.adam(1e-1), mask))
    got, _ = ours.update(params, ours.init(params), params)
    expected, _ = theirs.update(params, theirs.init(params), params)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=2e-5)
