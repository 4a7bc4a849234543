"""Leaves that no transformation computes with pass through, as in Optax: in the pair, in `update` and in `step`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import optcc

KEY = jax.random.key(3)
# What is in the place of a leaf, its gradient, and the parameter after a step where the updates pass it, or zero it.
LEAVES: dict[str, tuple[Any, Any, Any, Any]] = {
    "table, int gradient": (jnp.arange(3), jnp.array([4, 0, -1]), [4, 1, 1], [0, 1, 2]),
    "table, float0": (jnp.arange(3), np.zeros(3, jax.dtypes.float0), [0, 1, 2], [0, 1, 2]),
    "table, float gradient": (jnp.arange(3), jnp.array([4.0, 0.0, -1.0]), [4, 1, 1], [0, 1, 2]),
    "table, None": (jnp.arange(3), None, [0, 1, 2], [0, 1, 2]),
    "bools": (jnp.array([True, False]), jnp.array([False, False]), [True, False], [True, False]),
    "key": (KEY, np.zeros((), jax.dtypes.float0), jax.random.key_data(KEY), jax.random.key_data(KEY)),
    "function": (jnp.tanh, None, jnp.tanh, jnp.tanh),
}
W, G = jnp.array([0.5, -2.0]), jnp.array([0.25, 3.0])


def masking(lib: Any) -> Any:
    return lib.masked(lib.adamw(0.1, weight_decay=0.3), {"t": False, "w": True})


def masking_by_dtype(lib: Any) -> Any:
    def is_float(x: Any) -> bool:
        return jnp.issubdtype(getattr(x, "dtype", jnp.int32), jnp.floating)

    return lib.masked(lib.adamw(0.1, weight_decay=0.3), partial(jax.tree.map, is_float))


def freezing(lib: Any) -> Any:
    chain = lib.chain(lib.identity(), lib.adamw(0.1, weight_decay=0.3))
    labels = {"t": "freeze", "w": "train"}
    return lib.chain(lib.multi_transform({"train": chain, "freeze": lib.set_to_zero()}, labels))


def injecting(lib: Any) -> Any:
    return lib.inject_hyperparams(lambda learning_rate: lib.masked(lib.sgd(learning_rate), {"t": False, "w": True}))(
        0.1
    )


def raw(x: Any) -> Any:
    """An array to compare, and anything else itself."""
    if not hasattr(x, "dtype"):
        return x
    return np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)


def same(got: Any, expected: Any) -> None:
    got, expected = raw(got), raw(expected)
    if isinstance(got, np.ndarray):
        np.testing.assert_array_equal(got, expected)
    else:
        assert got is expected


def copies(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.copy() if isinstance(x, jax.Array) else x, tree)


# Optax asks a mask that is a function of the updates, which have None there, and then refuses its own state.
CASES = [(make, kind) for make in (masking, freezing) for kind in LEAVES]
CASES += [(masking_by_dtype, kind) for kind in ("table, int gradient", "table, float0", "bools", "key")]
# It takes the widest dtype of the parameters, where Optax has keys and functions take part.
CASES += [(injecting, kind) for kind in LEAVES if kind not in ("key", "function")]


@pytest.mark.parametrize(("make", "kind"), CASES)
def test_leaves_pass_through_as_in_optax(make: Callable[[Any], Any], kind: str) -> None:
    leaf, gradient, passed, zeroed = LEAVES[kind]
    params, grads = {"t": leaf, "w": W}, {"t": gradient, "w": G}
    oracle, ours = make(optax), make(optcc)
    state = oracle.init(params)
    expected, _ = oracle.update(grads, state, params)
    compiled = optcc.compile(ours, params)
    for tx in (ours, compiled):
        ours_state = tx.init(params)
        jax.tree.map(np.testing.assert_array_equal, jax.tree.leaves(ours_state), jax.tree.leaves(state))
        updates, _ = tx.update(grads, ours_state, params)
        np.testing.assert_allclose(updates["w"], expected["w"], rtol=1e-4)
        same(updates["t"], expected["t"])
        new = optcc.apply_updates(params, updates)
        same(new["t"], zeroed if make is freezing else passed)
    for step in (compiled.interpret_step, compiled.step, compiled.step):
        new, _ = step(grads, compiled.init(params), copies(params))
        np.testing.assert_allclose(new["w"], W + expected["w"], rtol=1e-4)
        same(new["t"], zeroed if make is freezing else passed)
    assert compiled.params["w"].shape == (2,)
    assert compiled.params["t"] is leaf if kind == "function" else compiled.params["t"].dtype == leaf.dtype


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: optcc.adam(0.1), "chain[0] scale_by_adam"),
        (lambda: optcc.sgd(0.1), "chain[1] scale_by_learning_rate"),
        (lambda: optcc.masked(optcc.clip(1.0), {"t": True, "w": False}), "clip"),
        (lambda: optcc.flatten(optcc.masked(optcc.clip(1.0), {"t": False, "w": True})), "flatten"),
        (lambda: optax.sgd(0.1), "foreign(GradientTransformationExtraArgs)"),
    ],
)
def test_what_would_compute_with_such_a_leaf_refuses(make: Callable[[], Any], where: str) -> None:
    params = {"t": jnp.arange(3), "w": W}
    with pytest.raises(TypeError, match="must be a float or complex array, got int32") as caught:
        optcc.compile(make(), params).init(params)
    assert f"where: leaf 't' in {where}\n" in str(caught.value)
    if not where.startswith("foreign"):
        with pytest.raises(TypeError, match="must be a float or complex array, got int32"):
            make().init(params)
        with pytest.raises(TypeError, match="a PjitFunction"):
            make().init({"t": jnp.tanh, "w": W})


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Linear:
    """As a module of Equinox: every field is a child of the pytree, arrays or not."""

    weight: Any
    bias: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Network:
    first: Linear
    frozen: Linear
    activation: Any
    steps: Any

    def __call__(self, x: Any) -> Any:
        return self.frozen.weight @ self.activation(self.first.weight @ x + self.first.bias)


def network() -> Network:
    return Network(Linear(jnp.full((2, 2), 0.3), jnp.zeros(2)), Linear(jnp.ones((1, 2)), None), jnp.tanh, jnp.arange(2))


def trainable(model: Network) -> Network:
    """As `equinox.partition` gives it: None for functions and tables, and here for a frozen part, too."""
    return Network(model.first, jax.tree.map(lambda _: None, model.frozen), None, None)


def test_a_module_is_updated_where_it_has_gradients() -> None:
    """`opt.init(eqx.filter(model, ...))` and `opt.update(grads, state, model)`, as in Equinox's tutorials."""
    model = network()

    def loss(part: Network) -> Any:
        whole = Network(part.first, model.frozen, model.activation, model.steps)
        return jnp.sum(whole(jnp.array([1.0, 2.0])) ** 2)

    expected = trainable(model)
    oracle = optax.adamw(0.1)
    oracle_state = oracle.init(expected)  # type: ignore[arg-type]
    compiled = optcc.compile(optcc.adamw(0.1), trainable(model))
    runs: list[Any] = [optcc.adamw(0.1), compiled]
    models = [model for _ in runs]
    states = [tx.init(trainable(model)) for tx in runs]
    stepped, step_state = copies(model), compiled.init(trainable(model))
    for _ in range(3):
        grads = jax.grad(loss)(expected)
        updates, oracle_state = oracle.update(grads, oracle_state, expected)  # type: ignore[arg-type]
        expected = optax.apply_updates(expected, updates)  # type: ignore[type-var]
        for i, tx in enumerate(runs):
            got, states[i] = tx.update(grads, states[i], models[i])
            assert (got.activation, got.frozen.weight) == (None, None)
            models[i] = optcc.apply_updates(models[i], got)
        stepped, step_state = compiled.step(grads, step_state, stepped)
    for new in (*models, stepped):
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3), trainable(new), expected)
        same(new.frozen.weight, model.frozen.weight)
        same(new.steps, model.steps)
        assert new.activation is model.activation


@pytest.mark.parametrize("jit", [False, True])
def test_nnx_optimizer_with_a_compiled_optimizer(jit: bool) -> None:
    """Its `init` gets a State of Param, its `update` the arrays in other containers."""

    def train(make: Callable[[Any], Any]) -> Any:
        model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, make(nnx.state(model, nnx.Param)), wrt=nnx.Param)

        def step(model: Any, optimizer: Any, x: Any, y: Any) -> None:
            grads = nnx.grad(lambda m: ((jnp.tanh(m(x)) - y) ** 2).mean())(model)
            optimizer.update(model, grads)

        for _ in range(3):
            (nnx.jit(step) if jit else step)(model, optimizer, jnp.array([[1.0, 2.0]]), jnp.ones((1, 3)))
        return nnx.to_pure_dict(nnx.state(model, nnx.Param))

    expected = train(lambda params: optax.adamw(0.01))
    got = train(lambda params: optcc.compile(optcc.adamw(0.01), params))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4), got, expected)


def test_apply_updates_leaves_alone_what_has_no_update() -> None:
    params = {"a": {"b": W, "c": jnp.tanh}, "d": W, "e": None}
    new = optcc.apply_updates(params, {"a": None, "d": G, "e": G})
    assert new["a"]["b"] is W
    assert new["a"]["c"] is jnp.tanh
    assert new["e"] is None
    np.testing.assert_array_equal(new["d"], W + G)
