"""Packed layouts: round trips, steps against those on trees, pytrees, checkpoints, errors."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

import optcc
from optcc.dialect import Role
from optcc.params import load_params
from optcc.runtime import native
from optcc.runtime.packed_trees import PackedParams, PackedState
from tests.table import TABLE, Row
from tests.trees import AXES, FEW, RAGGED, Leaves, matrices_only, ragged

BACKENDS = [
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]
backends = pytest.mark.parametrize("backend", BACKENDS)
PARTS = {"state": (False, True, False), "params": (True, False, True), "all": (True, True, True)}
"""Which of gradients, state and parameters are packed."""


def copied(tree: Any) -> Any:
    """Arrays that may be donated."""
    return jax.tree.map(jnp.copy, tree)


def bits(x: Any) -> np.ndarray:
    """The bytes of an array, so that NaN and the sign of 0 count, too."""
    x = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return np.frombuffer(np.asarray(x).tobytes(), np.uint8)


def assert_same(got: Any, expected: Any) -> None:
    """One structure, one dtype and one shape for each leaf, and the same bits."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        where = jax.tree_util.keystr(path)
        assert (x.dtype, x.shape) == (y.dtype, y.shape), where
        np.testing.assert_array_equal(bits(x), bits(y), err_msg=where)


def assert_near(got: Any, expected: Any, rtol: float) -> None:
    """As `assert_same` with `rtol` 0; else within it, or an ulp of bfloat16, of the largest value of the leaf."""
    if rtol == 0:
        assert_same(got, expected)
        return
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            assert_same(x, y)
            continue
        a, b = (np.asarray(v, np.float64) for v in (x, y))
        limit = max(rtol, 2 * float(jnp.finfo(x.dtype).eps))
        scale = float(np.max(np.abs(b), initial=0.0))
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * scale, err_msg=jax.tree_util.keystr(path))


def filled(tree: Any, seed: int) -> Any:
    """Random values in the dtypes of a state: floats of all bits but NaN, small integers."""
    rng = np.random.default_rng(seed)

    def fill(x: Any) -> Any:
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.key(seed)
        if jnp.issubdtype(x.dtype, jnp.floating):
            # Up to infinity: XLA:CPU sets the quiet bit of a signalling NaN in bfloat16 when it copies it.
            width = np.dtype(f"uint{8 * x.dtype.itemsize}")
            top = int(np.array(np.inf, x.dtype).view(width))
            raw = rng.integers(0, top, x.shape, width, endpoint=True)
            sign = rng.integers(0, 2, x.shape, width) << (8 * x.dtype.itemsize - 1)
            return jnp.asarray((raw | sign).view(x.dtype))
        return jnp.asarray(rng.integers(0, 2, x.shape), x.dtype)

    return jax.tree.map(fill, tree)


# Round trips

CASES = [
    pytest.param(row, leaves, id=row.name + "-axes" * (leaves is not RAGGED))
    for row in TABLE
    if row.inputs == "arrays"
    for leaves in row.leaves
]


@pytest.mark.filterwarnings('ignore:"seed" is deprecated:DeprecationWarning')
@pytest.mark.parametrize(("row", "leaves"), CASES)
def test_round_trips(row: Row, leaves: Leaves):
    """Tree -> packed -> tree and Optax -> packed -> Optax give every bit back, of two dtypes if the row takes them."""
    params = leaves.fill(0, mixed=row.mixed)
    compiled = optcc.compile(row.make(optcc), params, examples=max(row.examples, 1), backend="stablehlo")
    with jax.disable_jit():  # a jit for each row takes longer than its ops
        assert_same(compiled.unpack(compiled.pack(params)), params)
        state = filled(compiled._made.state, 1)
        assert_same(compiled.unpack_state(compiled.pack_state(state)), state)
        theirs = filled(row.make(optax).init(params), 2)
        there = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(theirs))
        back = compiled.unpack_state(compiled.pack_state(there))
        assert_same(jax.tree.unflatten(jax.tree.structure(theirs), jax.tree.leaves(back)), theirs)


def test_round_trip_of_nan_and_empty_trees():
    params = {"a": jnp.array([jnp.nan, -0.0, jnp.inf]), "b": jnp.array(jnp.nan), "none": None, "empty": {}}
    compiled = optcc.compile(optcc.adam(0.1), params)
    assert_same(compiled.unpack(compiled.pack(params)), params)
    nothing = optcc.compile(optcc.adam(0.1), {}, layout="packed")
    assert nothing.unpack(nothing.pack({})) == {}
    new, state = nothing.step({}, nothing.init({}), {})
    assert new == {}
    assert int(nothing.unpack_state(state)[0].count) == 1


# Steps


@dataclass(frozen=True)
class Chain:
    """A chain; `exact`: native kernels give the same bits packed."""

    make: Callable[[], Any]
    leaves: Leaves = RAGGED
    exact: bool = True
    mixed: bool = True


theirs: Any = optax.adam
CHAINS = {
    "adamw": Chain(lambda: optcc.adamw(0.1)),
    "masks": Chain(
        lambda: optcc.chain(optcc.masked(optcc.trace(0.7), matrices_only), optcc.adamw(0.1, mask=matrices_only))
    ),
    "bfloat16_trace": Chain(lambda: optcc.sgd(0.1, 0.9, accumulator_dtype=jnp.bfloat16), mixed=False),
    "zero_nans": Chain(lambda: optcc.chain(optcc.zero_nans(), optcc.sgd(0.1, 0.9)), exact=False),
    "clip": Chain(lambda: optcc.chain(optcc.clip_by_global_norm(0.3), optcc.adamw(0.1)), exact=False),
    "lamb": Chain(lambda: optcc.lamb(0.1, mask=matrices_only), exact=False),
    "lars": Chain(lambda: optcc.lars(0.1, 0.05, matrices_only, trust_ratio_mask=matrices_only), exact=False),
    "novograd": Chain(lambda: optcc.novograd(0.1), exact=False),
    "adafactor": Chain(lambda: optcc.adafactor(0.1, 3, momentum=0.8), exact=False),
    "sm3": Chain(lambda: optcc.sm3(0.1, 0.8), AXES, exact=False),
    "noisy_sgd": Chain(lambda: optcc.noisy_sgd(0.1, 0.3, 0.6, key=jax.random.key(3)), FEW, exact=False),
    "multi_steps": Chain(lambda: optcc.MultiSteps(optcc.adamw(0.1), 2), exact=False),
    "inject": Chain(lambda: optcc.inject_hyperparams(optcc.adamw)(learning_rate=0.1), mixed=False),
    "foreign": Chain(lambda: optcc.chain(optcc.clip(0.5), theirs(0.1)), exact=False, mixed=False),
}  # fmt: skip
ON_STABLEHLO = ["adamw", "masks", "clip", "lamb", "sm3", "noisy_sgd"]


def trained(compiled: Any, packed: tuple[bool, bool, bool], make: Callable[[int], Any], steps: int = 3) -> Any:
    """Parameters and state, as trees, after some steps with gradients, state and parameters packed or not."""
    grads_packed, state_packed, params_packed = packed
    params = make(0)
    state = compiled.init(params)
    if state_packed != isinstance(state, PackedState):
        state = (compiled.pack_state if state_packed else compiled.unpack_state)(state)
    params = compiled.pack(params) if params_packed else copied(params)
    for i in range(steps):
        grads = make(i + 1)
        params, state = compiled.step(compiled.pack(grads) if grads_packed else grads, state, params)
        assert (isinstance(params, PackedParams), isinstance(state, PackedState)) == (params_packed, state_packed)
    return (
        compiled.unpack(params) if params_packed else params,
        compiled.unpack_state(state) if state_packed else state,
    )


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        *(("stablehlo", name) for name in ON_STABLEHLO),
        *(pytest.param("native", name, marks=BACKENDS[1].marks) for name in CHAINS),
    ],
)
def test_steps_equal_those_on_trees(backend: str, name: str):
    chain = CHAINS[name]

    def make(seed: int) -> Any:
        return chain.leaves.fill(seed, mixed=chain.mixed)

    compiled = optcc.compile(chain.make(), make(0), backend=backend, layout="packed")
    expected = trained(compiled, (False, False, False), make)
    rtol = 0.0 if chain.exact and backend == "native" else 1e-5
    for part in ("state", "all"):
        assert_near(trained(compiled, PARTS[part], make), expected, rtol)


@pytest.mark.parametrize("name", ["adamw", "lamb"])
@backends
def test_parameters_alone(backend: str, name: str):
    """Packed parameters and gradients beside a state as a tree."""
    compiled = optcc.compile(CHAINS[name].make(), ragged(0, mixed=True), backend=backend)

    def make(seed: int) -> Any:
        return ragged(seed, mixed=True)

    expected = trained(compiled, (False, False, False), make)
    assert_near(trained(compiled, PARTS["params"], make), expected, 1e-5)


def test_gaps_do_not_change_norms():
    """What the update makes of the gaps between leaves stays out of every norm."""
    params = {f"p{i}": jnp.full((3,), 2.0) for i in range(4)}
    tx = optcc.chain(optcc.adam(1.0, b1=0.0, b2=0.0), optcc.add_decayed_weights(0.1), optcc.clip_by_global_norm(1.0))
    compiled = optcc.compile(tx, params, layout="packed")
    assert_near(
        trained(compiled, PARTS["all"], lambda _: params),
        trained(compiled, (False, False, False), lambda _: params),
        1e-5,
    )


def test_update_takes_a_packed_state():
    params = ragged(0)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend="stablehlo")
    state = compiled.init(params)
    updates, new = jax.jit(compiled.update)(ragged(1), state, params)
    expected, expected_state = jax.jit(compiled.update)(ragged(1), compiled.unpack_state(state), params)
    assert isinstance(new, PackedState)
    assert_same((updates, compiled.unpack_state(new)), (expected, expected_state))


@pytest.mark.parametrize("part", PARTS)
def test_update_takes_packed_arguments(part: str):
    """Updates come packed if they went in packed, and so does the state."""
    params, grads = ragged(0), ragged(1)
    compiled = optcc.compile(optcc.adamw(0.1), params, backend="stablehlo")
    state = compiled.init(params)
    expected = jax.jit(compiled.update)(grads, state, params)
    packed = PARTS[part]
    updates, new = jax.jit(compiled.update)(
        compiled.pack(grads) if packed[0] else grads,
        compiled.pack_state(state) if packed[1] else state,
        compiled.pack(params) if packed[2] else params,
    )
    assert isinstance(updates, PackedParams) == packed[0]
    assert isinstance(new, PackedState) == packed[1]
    updates = compiled.unpack(updates) if packed[0] else updates
    assert_same((updates, compiled.unpack_state(new) if packed[1] else new), expected)


# In place


def memory(compiled: Any, part: str, shapes: Any) -> tuple[Any, int]:
    """XLA's figures for a packed step, and the bytes that it is given to keep."""

    def packed(yes: bool, what: str, tree: Any) -> Any:
        layout = compiled._made.layouts[Role(what)]
        kind = PackedState if what == "state" else PackedParams
        return layout.like(kind) if yes else tree

    grads, state, params = PARTS[part]
    kept = packed(params, "params", shapes), packed(state, "state", compiled._made.state)
    values = compiled._hyperparameters.arrays(compiled.staged.program.step)
    hypers = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in values]
    lowered = compiled._made.steps[PARTS[part]].lower(*kept, packed(grads, "params", shapes), tuple(hypers))
    return lowered.compile().memory_analysis(), sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(kept))


@pytest.mark.parametrize("part", ["state", "all"])
@pytest.mark.parametrize("name", ["adamw", "clip", "lamb"])
@pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())
def test_in_place(name: str, part: str):
    """Every donated buffer is used again, and no temporary has the size of a moment."""
    shapes = {f"layer{i}": jax.ShapeDtypeStruct((40 + i % 3, 20), jnp.float32) for i in range(50)}
    compiled = optcc.compile(CHAINS[name].make(), shapes, backend="native", layout="packed")
    stats, kept = memory(compiled, part, shapes)
    assert stats.alias_size_in_bytes == kept
    assert stats.temp_size_in_bytes < 0.05 * kept


def test_in_place_on_stablehlo():
    """The buffers are used again there, too; what it costs is temporaries."""
    shapes = {f"layer{i}": jax.ShapeDtypeStruct((40, 20), jnp.float32) for i in range(5)}
    compiled = optcc.compile(optcc.adamw(0.1), shapes, backend="stablehlo", layout="packed")
    stats, kept = memory(compiled, "all", shapes)
    assert stats.alias_size_in_bytes == kept
    assert compiled.executable.memory_analysis().alias_size_in_bytes == compiled.donated_bytes


def test_whole_buffers_on_stablehlo():
    """With everything packed, what is elementwise runs on the buffers: nothing is cut out or put together."""
    shapes = {f"layer{i}": jax.ShapeDtypeStruct((40 + i, 20), jnp.float32) for i in range(30)}
    compiled = optcc.compile(optcc.adamw(0.1), shapes, backend="stablehlo", layout="packed")
    packed, state = jax.eval_shape(compiled.pack, shapes), jax.eval_shape(compiled.init, shapes)
    step = jax.jit(lambda p, s, g: compiled.step(g, s, p), donate_argnums=(0, 1))
    text = step.lower(packed, state, packed).as_text()
    assert text.count("call @optcc_map") == 1
    assert "concatenate" not in text


# In JAX


def loss_of(params: Any) -> Any:
    return sum(jnp.sum(x.astype(jnp.float32) ** 3) for x in jax.tree.leaves(params))


def test_gradient_of_unpack_is_packed():
    params = ragged(0, mixed=True)
    compiled = optcc.compile(optcc.adamw(0.1), params)
    packed = compiled.pack(params)
    grads = jax.jit(jax.grad(lambda q: loss_of(compiled.unpack(q))))(packed)
    assert isinstance(grads, PackedParams)
    assert grads.layout == packed.layout
    assert_same(compiled.unpack(grads), jax.jit(jax.grad(loss_of))(params))


def test_gradient_of_unpack_adds_nothing_up():
    """One buffer is made of the gradients of the leaves; slices would give a sum of as many padded buffers."""
    params = {f"p{i}": jnp.ones((32,)) for i in range(20)}
    compiled = optcc.compile(optcc.sgd(0.1), params)
    grad = jax.jit(jax.grad(lambda q: loss_of(compiled.unpack(q))))
    text = grad.lower(compiled.pack(params)).as_text()
    assert text.count("stablehlo.pad") == text.count("dynamic_update_slice") == 0
    assert text.count("stablehlo.concatenate") <= 3  # JAX makes it of up to 16 pieces at a time


def test_other_transformations_of_unpack():
    """Forward mode, second derivatives and batches."""
    params = {"a": jnp.arange(3.0), "b": jnp.ones((2, 2))}
    compiled = optcc.compile(optcc.sgd(0.1), params)

    def loss(q: Any) -> Any:
        return loss_of(compiled.unpack(q))

    packed, direction = compiled.pack(params), compiled.pack(jax.tree.map(jnp.ones_like, params))
    value, slope = jax.jvp(loss, (packed,), (direction,))
    np.testing.assert_allclose([value, slope], [9.0 + 4.0, 15.0 + 12.0])
    hessian = jax.jvp(jax.grad(loss), (packed,), (direction,))[1]
    np.testing.assert_allclose(compiled.unpack(hessian)["a"], [0.0, 6.0, 12.0])
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), packed)
    grads = jax.vmap(jax.grad(loss))(many)
    np.testing.assert_allclose(
        jax.vmap(compiled.unpack)(grads)["b"], 3 * np.array([np.ones((2, 2)), np.full((2, 2), 4.0)])
    )
    together = jax.grad(lambda q: jnp.sum(jax.vmap(loss)(q)))(many)
    assert_same(together, grads)


@backends
def test_scan_in_a_donated_jit(backend: str):
    """Steps in a loop of the user's, parameters and state packed, the loss of the packed parameters inside."""
    params = ragged(0)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend=backend)

    def one(carry: Any, _: Any) -> Any:
        params, state = carry
        loss, grads = jax.value_and_grad(lambda q: loss_of(compiled.unpack(q)))(params)
        return compiled.step(grads, state, params), loss

    run = jax.jit(lambda p, s: jax.lax.scan(one, (p, s), None, 4), donate_argnums=(0, 1))
    (got, state), _ = run(compiled.pack(params), compiled.init(params))
    expected, expected_state = copied(params), compiled.unpack_state(compiled.init(params))
    for _ in range(4):
        expected, expected_state = compiled.step(jax.grad(loss_of)(expected), expected_state, expected)
    assert_near((compiled.unpack(got), compiled.unpack_state(state)), (expected, expected_state), 1e-5)


def test_vmap_and_grad_through_packed_steps():
    """An ensemble of packed parameters, and the gradient of a loss after a step with respect to those before."""
    params = {"a": jnp.arange(1.0, 4.0), "b": jnp.ones((2, 2))}
    compiled = optcc.compile(optcc.adam(0.1), params, layout="packed")
    packed, state, grads = compiled.pack(params), compiled.init(params), compiled.pack(params)

    def two(x: Any) -> Any:
        return jax.tree.map(lambda v: jnp.stack([v, 2 * v]), x)

    got = jax.vmap(compiled.step)(two(grads), two(state), two(packed))
    for i, tree in enumerate((grads, jax.tree.map(lambda x: 2 * x, grads))):
        scaled = jax.tree.map(lambda x, i=i: x * (i + 1), (state, packed))
        assert_near(jax.tree.map(lambda x, i=i: x[i], got), compiled.step(copied(tree), *copied(scaled)), 1e-5)

    def after(p: Any) -> Any:
        return loss_of(compiled.unpack(compiled.step(grads, compiled.init(params), p)[0]))

    slope = jax.grad(after)(compiled.pack(params))
    moved = compiled.step(params, compiled.init(params), copied(params))[0]
    assert_near(compiled.unpack(slope), jax.tree.map(lambda x: 3 * x**2, moved), 1e-5)


# As pytrees


def test_packed_are_pytrees():
    params = ragged(0, mixed=True)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed")
    state, packed = compiled.init(params), compiled.pack(params)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    assert names[:2] == ["['0.count']", "['0.mu/all_bfloat16']"] or names[:2] == ["['0.count']", "['0.mu/all_float32']"]
    assert len(names) == 5
    assert repr(packed) in (
        "PackedParams(params/all_bfloat16, params/all_float32)",
        "PackedParams(params/all_float32, params/all_bfloat16)",
    )
    doubled = jax.tree.map(lambda x: 2 * x, packed)
    assert_same(compiled.unpack(doubled), jax.tree.map(lambda x: 2 * x, params))
    shapes = jax.eval_shape(compiled.init, params)
    assert isinstance(shapes, PackedState)
    assert jax.tree.structure(shapes) == jax.tree.structure(state)
    assert [x.shape for x in jax.tree.leaves(shapes)] == [x.shape for x in jax.tree.leaves(state)]
    back = jax.eval_shape(compiled.unpack_state, shapes)
    assert jax.tree.structure(back) == jax.tree.structure(compiled._made.state)
    assert all(x.ndim == 1 for x in jax.tree.leaves(packed))


def test_compiled_for_shapes_only():
    """Parameters that are never there: the layout, the packed state and the executable come from shapes."""
    shapes = {"a": jax.ShapeDtypeStruct((3, 4), jnp.float32), "b": jax.ShapeDtypeStruct((5,), jnp.bfloat16)}
    compiled = optcc.compile(optcc.adam(0.1), shapes, layout="packed", backend="stablehlo")
    packed = jax.eval_shape(compiled.pack, shapes)
    assert [x.shape for x in jax.tree.leaves(packed)] == [(16,), (16,)]
    new, state = jax.eval_shape(compiled.step, packed, jax.eval_shape(compiled.init, shapes), packed)
    assert jax.tree.structure(new) == jax.tree.structure(packed)
    assert isinstance(state, PackedState)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_packed_for_the_same_optimizer(way: Any):
    params = ragged(0)
    compiled = optcc.compile(optcc.adam(0.1), params, layout="packed")
    state = compiled.init(params)
    assert_same(compiled.unpack_state(way(state)), compiled.unpack_state(state))
    assert_same(compiled.unpack(way(compiled.pack(params))), params)


def test_parameters_in_two_copies():
    """Lookahead has a fast and a slow copy of the parameters, and gradients of the fast one only."""
    params = optcc.LookaheadParams.init_synced(ragged(0))
    compiled = optcc.compile(optcc.lookahead(optcc.adam(0.1), 2, 0.5), params, layout="packed", backend="stablehlo")
    packed = compiled.pack(params)
    assert_same(compiled.init(packed), compiled.init(params))
    tree = copied(params), compiled.unpack_state(compiled.init(params))
    state = compiled.init(params)
    for i in range(2):
        packed, state = compiled.step(ragged(i + 1), state, packed)
        tree = compiled.step(ragged(i + 1), tree[1], tree[0])
    assert_near((compiled.unpack(packed), compiled.unpack_state(state)), tree, 1e-5)


# Checkpoints


def test_orbax_saves_and_restores_a_packed_state(tmp_path: Path):
    """Saved in one run, restored in the next, which goes on with the same bits; into a tree, too."""
    params = {"w": jnp.ones((3, 5)), "h": jnp.ones((4,), jnp.bfloat16), "s": jnp.array(2.0)}
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend="stablehlo")
    packed, state = compiled.step(compiled.pack(params), compiled.init(params), compiled.pack(params))
    expected = compiled.unpack(packed), compiled.unpack_state(state)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "checkpoint", {"params": packed, "state": state})
    again = optcc.compile(optcc.adamw(0.2), params, layout="packed", backend="stablehlo")
    like = {"params": jax.eval_shape(again.pack, params), "state": jax.eval_shape(again.init, params)}
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(tmp_path / "checkpoint", like)
    assert isinstance(restored["state"], PackedState)
    assert_same((again.unpack(restored["params"]), again.unpack_state(restored["state"])), expected)
    again.step(again.pack(params), restored["state"], restored["params"])


# Errors

HERE = {"a": jnp.ones((3, 4)), "deep": [jnp.ones((5,)), jnp.ones((2,))]}


def change(**leaves: Any) -> Any:
    return {**HERE, **leaves}


@pytest.mark.parametrize(
    ("other", "leaf", "text"),
    [
        (change(a=jnp.ones((4, 3))), "a", r"float32\[4, 3\], this optimizer float32\[3, 4\]"),
        (change(a=jnp.ones((3, 4), jnp.bfloat16)), "a", r"bfloat16\[3, 4\], this optimizer float32"),
        (change(deep=[jnp.ones((5,))]), "deep.1", r"no such leaf, this optimizer float32\[2\]"),
        (change(more=jnp.ones((1,))), "more", r"float32\[1\], this optimizer no such leaf"),
        (change(deep=(jnp.ones((5,)), jnp.ones((2,)))), "deep.0", "in a tuple, in this optimizer it is in a list"),
    ],
    ids=["shape", "dtype", "missing", "more", "structure"],
)
def test_packed_for_other_parameters(other: Any, leaf: str, text: str):
    ours = optcc.compile(optcc.adam(0.1), HERE, layout="packed", backend="stablehlo")
    theirs = optcc.compile(optcc.adam(0.1), other, layout="packed", backend="stablehlo")
    state, packed = theirs.init(other), theirs.pack(other)
    for call in (
        lambda: ours.unpack_state(state),
        lambda: ours.unpack(packed),
        lambda: ours.step(HERE, state, HERE),
        lambda: ours.step(ours.pack(HERE), ours.init(HERE), packed),
        lambda: ours.step(packed, ours.init(HERE), HERE),
        lambda: ours.update(HERE, state, HERE),
        lambda: ours.init(packed),
    ):
        with pytest.raises(optcc.TreeMismatchError, match=text) as error:
            call()
        assert re.search(rf"leaf '(0\.mu\.)?{leaf}'", str(error.value))


def test_state_of_another_optimizer():
    """Two chains over the same parameters: another slot, and the same slots in another class."""
    ours, theirs = (optcc.compile(tx, HERE, layout="packed") for tx in (optcc.adam(0.1), optcc.sgd(0.1, 0.9)))
    with pytest.raises(optcc.TreeMismatchError, match=r"leaf '0\.trace\.a'"):
        ours.unpack_state(theirs.init(HERE))
    belief = optcc.compile(optcc.adabelief(0.1), HERE, layout="packed")
    with pytest.raises(optcc.TreeMismatchError, match="ScaleByBeliefState"):
        ours.unpack_state(belief.init(HERE))


def test_unpacked_and_wrong_arguments():
    compiled = optcc.compile(optcc.adam(0.1), HERE, layout="packed", backend="stablehlo")
    with pytest.raises(optcc.TreeMismatchError, match=r"leaf params\['a'\]"):
        compiled.pack(change(a=jnp.ones((2,))))
    with pytest.raises(optcc.TreeMismatchError, match="leaf state"):
        compiled.pack_state(optcc.adam(0.1).init(change(a=jnp.ones((2,)))))
    other = optcc.compile(optcc.adam(0.1), change(a=jnp.ones((2,))), layout="packed", backend="stablehlo")
    with pytest.raises(optcc.TreeMismatchError, match="leaf 'a'"):
        compiled.update(other.pack(change(a=jnp.ones((2,)))), compiled.init(HERE), HERE)


# The layout


def test_auto_packs_small_leaves():
    small = {f"p{i}": jax.ShapeDtypeStruct((100,), jnp.float32) for i in range(50)}
    assert optcc.compile(optcc.adamw(0.1), small, layout="auto").layout == "packed"
    assert optcc.compile(optcc.adamw(0.1), load_params("gpt2"), layout="auto").layout == "tree"
    assert optcc.compile(optcc.adamw(0.1), small).layout == "tree"
    params = jax.tree.map(lambda s: jnp.ones(s.shape), small)
    assert isinstance(optcc.compile(optcc.adamw(0.1), params, layout="auto").init(params), PackedState)


def test_unknown_layout():
    with pytest.raises(ValueError, match=r"unknown layout 'flat'\n.*one of tree, packed, auto"):
        optcc.compile(optcc.adam(0.1), HERE, layout="flat")


# Threads


def test_first_use_in_many_threads():
    """All threads get one executable, and the same result."""
    params = ragged(0)
    compiled = optcc.compile(optcc.adamw(0.1), params, layout="packed", backend="stablehlo")
    together = Barrier(4)

    def run(_: int) -> Any:
        together.wait()
        return compiled.step(compiled.pack(ragged(1)), compiled.init(params), compiled.pack(params))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4)))
    assert compiled._made.steps[True, True, True]._cache_size() == 1
    for result in results[1:]:
        assert_same(result, results[0])
