"""With the libraries that people use around an optimizer: Flax, Optax itself, Orbax. See also `test_integration`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx
from flax.training.train_state import TrainState

import optcc
from tests.trees import assert_close, assert_relative, matrices_only, ragged

STEPS = 3


def values(seed: int) -> Any:
    """The ragged tree, but for the leaf without elements, which Orbax refuses to save."""
    return {name: leaf for name, leaf in ragged(seed).items() if name != "empty"}


def make(lib: Any) -> Any:
    """A chain with state of several kinds: counts, moments, masked leaves, a bool for each leaf."""
    return lib.chain(
        lib.zero_nans(),
        lib.clip_by_global_norm(1.0),
        lib.masked(lib.trace(0.9, accumulator_dtype=jnp.bfloat16), matrices_only),
        lib.adamw(lib.exponential_decay(0.1, 2, 0.5), weight_decay=0.01, mask=matrices_only),
    )


def train(tx: Any, params: Any, state: Any, start: int, steps: int) -> Any:
    """Some steps with jit, on gradients that depend on the step; parameters and state after them."""

    @jax.jit
    def step(g: Any, s: Any, p: Any) -> Any:
        updates, s = tx.update(g, s, p)
        return optcc.apply_updates(p, updates), s

    for i in range(start, start + steps):
        params, state = step(values(i + 1), state, params)
    return params, state


def move(state: Any, tx: Any, params: Any) -> Any:
    """The arrays of a state in the classes of another transformation, as the error text of optcc says."""
    return jax.tree.unflatten(jax.tree.structure(tx.init(params)), jax.tree.leaves(state))


# Orbax


def save(path: Path, tree: Any) -> Any:
    """Write a checkpoint; the path that it is at."""
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path / "checkpoint", tree)
    return path / "checkpoint"


def restore(path: Path, like: Any) -> Any:
    """Read a checkpoint into the containers and dtypes of `like`, which has shapes only."""
    with ocp.StandardCheckpointer() as checkpointer:
        return checkpointer.restore(path, like)


def shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)


def test_orbax_save_and_restore(tmp_path: Path):
    """A run that stops, is saved, restored and goes on is the run that did not stop, bit for bit."""
    tx, params = make(optcc), values(0)
    whole = train(tx, params, tx.init(params), 0, 2 * STEPS)
    half = train(tx, params, tx.init(params), 0, STEPS)
    path = save(tmp_path, half)
    new, state = restored = restore(path, shapes((params, tx.init(params))))
    assert jax.tree.structure(restored) == jax.tree.structure(half)
    assert_close(restored, half, limit=0)
    assert_close(train(tx, new, state, STEPS, STEPS), whole, limit=0)


def test_orbax_state_of_the_compiled_optimizer(tmp_path: Path):
    """The state of the compiled step is the pair's, so its checkpoints are, too."""
    tx, params = make(optcc), values(0)
    compiled = optcc.compile(tx, params)
    new, state = jax.tree.map(jnp.copy, params), compiled.init(params)
    for i in range(STEPS):
        new, state = compiled.step(values(i + 1), state, new)
    path = save(tmp_path, (new, state))
    restored = restore(path, shapes((params, tx.init(params))))
    got = compiled.step(values(STEPS + 1), restored[1], restored[0])
    assert_relative(got, train(tx, params, tx.init(params), 0, STEPS + 1), rtol=2e-2)  # it has a bfloat16 trace


@pytest.mark.parametrize("writer", [optcc, optax], ids=lambda lib: lib.__name__)
def test_orbax_between_libraries(tmp_path: Path, writer: Any):
    """A checkpoint written under one library is read under the other: containers and names are the same."""
    reader = optax if writer is optcc else optcc
    params = values(0)
    params, state = train(make(writer), params, make(writer).init(params), 0, STEPS)
    path = save(tmp_path, state)
    restored = restore(path, shapes(make(reader).init(params)))
    assert_close(restored, state, limit=0)
    got = train(make(reader), params, restored, STEPS, STEPS)
    assert_relative(got, train(make(writer), params, state, STEPS, STEPS), rtol=2e-2)


# States of the other library, in memory


@pytest.mark.parametrize("there", [optcc, optax], ids=lambda lib: lib.__name__)
def test_state_goes_over_and_comes_back(there: Any):
    """No array changes on the way, and the other library goes on from it to the same parameters."""
    here = optax if there is optcc else optcc
    params = values(0)
    params, state = train(make(here), params, make(here).init(params), 0, STEPS)
    moved = move(state, make(there), params)
    assert jax.tree.structure(moved) == jax.tree.structure(make(there).init(params))
    assert_close(move(moved, make(here), params), state, limit=0)
    got, expected = (train(make(lib), params, s, STEPS, STEPS) for lib, s in ((there, moved), (here, state)))
    assert_relative(got, expected, rtol=2e-2)


def test_fields_of_moved_states():
    """Field by field and by name, not only in the order of the leaves."""
    params = values(0)
    _, state = train(make(optax), params, make(optax).init(params), 0, STEPS)
    moved = move(state, make(optcc), params)
    assert_close(moved[0].found_nan, state[0].found_nan, limit=0)
    assert_close(moved[2].inner_state.trace, state[2].inner_state.trace, limit=0)
    assert (int(moved[3][0].count), int(moved[3][2].count)) == (STEPS, STEPS)
    assert_close((moved[3][0].mu, moved[3][0].nu), (state[3][0].mu, state[3][0].nu), limit=0)


def test_optax_state_as_it_is_is_refused_with_the_way_out():
    params = values(0)
    tx: Any = optcc.adam(0.1)
    state = optax.adam(0.1).init(params)
    with pytest.raises(optcc.TreeMismatchError, match=r"move the arrays over with jax\.tree\.unflatten"):
        tx.update(values(1), state, params)


# Chains of both


def mixed(outer: Any) -> Any:
    """A chain of `outer` with every second transformation from the other library."""
    inner = optax if outer is optcc else optcc
    return outer.chain(
        inner.zero_nans(),
        outer.clip_by_global_norm(1.0),
        inner.masked(outer.trace(0.9, accumulator_dtype=jnp.bfloat16), matrices_only),
        inner.adamw(outer.exponential_decay(0.1, 2, 0.5), weight_decay=0.01, mask=matrices_only),
    )


@pytest.mark.parametrize("outer", [optcc, optax], ids=lambda lib: lib.__name__)
def test_chain_of_both(outer: Any):
    params = values(0)
    tx, theirs = mixed(outer), make(optax)
    got, state = train(tx, params, tx.init(params), 0, STEPS)
    expected, expected_state = train(theirs, params, theirs.init(params), 0, STEPS)
    assert_relative(got, expected, rtol=2e-2)
    assert [x.shape for x in jax.tree.leaves(state)] == [x.shape for x in jax.tree.leaves(expected_state)]


def test_wrappers_of_optax_around_ours():
    """Accumulation, hyperparameters in the state and labels of Optax, around transformations of optcc."""
    params = values(0)

    def make(lib: Any) -> Any:
        kinds: dict[Any, Any] = {
            "matrix": optax.inject_hyperparams(lib.adam)(learning_rate=0.1),
            "other": lib.sgd(0.1, 0.9),
        }
        labels = jax.tree.map(lambda x: "matrix" if x.ndim > 1 else "other", params)
        return optax.apply_if_finite(
            optax.MultiSteps(optax.multi_transform(kinds, labels), 2).gradient_transformation(), 2
        )

    got, expected = (train(tx, params, tx.init(params), 0, 4) for tx in (make(optcc), make(optax)))
    assert_relative(got[0], expected[0], rtol=1e-5)


# Flax


def test_flax_train_state_under_jit_and_orbax(tmp_path: Path):
    """Flax's TrainState, jitted, saved and restored; as with Optax."""
    params = {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}
    x, y = jnp.arange(8.0).reshape(4, 2), jnp.ones((4, 3))

    @jax.jit
    def step(state: TrainState) -> TrainState:
        def loss(p: Any) -> Any:
            return jnp.mean(optcc.squared_error(state.apply_fn(p, x), y))

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    def run(lib: Any) -> TrainState:
        tx = lib.chain(lib.clip_by_global_norm(1.0), lib.adamw(0.1))
        state = TrainState.create(apply_fn=lambda p, x: x @ p["w"] + p["b"], params=params, tx=tx)
        for _ in range(STEPS):
            state = step(state)
        return state

    ours, theirs = run(optcc), run(optax)
    assert_relative(ours.params, theirs.params, rtol=1e-5)
    restored = restore(save(tmp_path, ours), shapes(ours))
    assert int(restored.step) == STEPS
    assert_close(step(restored).params, step(ours).params, limit=0)


def test_flax_nnx_optimizer():
    """Flax's object API: the optimizer holds the state of the pair."""

    def run(lib: Any) -> Any:
        model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, lib.adamw(0.1), wrt=nnx.Param)
        for i in range(STEPS):
            x = jnp.full((4, 2), float(i + 1))
            grads = nnx.grad(lambda m, x=x: jnp.mean((m(x) - 1.0) ** 2))(model)
            optimizer.update(model, grads)
        return nnx.to_pure_dict(nnx.state(model, nnx.Param))

    assert_relative(run(optcc), run(optax), rtol=1e-5)


def test_numpy_parameters_and_gradients():
    """Arrays that are not JAX's, as a data loader or a checkpoint may give them."""
    params, grads = (jax.tree.map(np.asarray, values(seed)) for seed in (0, 1))
    tx = optcc.adam(0.1)
    got, _ = tx.update(grads, tx.init(params), params)
    expected, _ = tx.update(values(1), tx.init(values(0)), values(0))
    assert_close(got, expected, limit=0)
