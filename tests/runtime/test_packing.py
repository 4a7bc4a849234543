"""Packed layouts: round trips, steps against those on trees, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import optcc
from optcc.dialect import Role
from optcc.runtime import native
from optcc.runtime.packed_trees import PackedParams, PackedState
from tests.runtime.packed import BACKENDS, assert_near, assert_same, backends, copied, filled
from tests.table import TABLE, Row
from tests.table.row import secondary
from tests.trees import AXES, FEW, RAGGED, Leaves, matrices_only, ragged

PARTS = {"state": (False, True, False), "params": (True, False, True), "all": (True, True, True)}
"""Which of gradients, state and parameters are packed."""


# Round trips

CASES = [
    secondary(row, leaves, name=row.name + "-axes" * (leaves is not RAGGED))
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
    lowered = compiled._made.steps[*PARTS[part], True].lower(*kept, packed(grads, "params", shapes), tuple(hypers))
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
