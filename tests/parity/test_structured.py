"""What looks at axes, at all leaves as one or at random numbers, against Optax, and what it owes beside numbers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import optcc
from tests.parity.trajectories import follow, is_key, same
from tests.table import BY_NAME, TABLE, WITH_EXTRA, Row
from tests.table.row import one_in, secondary
from tests.trees import AXES, RAGGED, Leaves, matrices_only, widen

STEPS = 10


def like(tree: Any, other: Any) -> Any:
    """The arrays of one tree in the dtypes and containers of another."""
    leaves = [x if is_key(x) else x.astype(y.dtype) for x, y in zip(*map(jax.tree.leaves, (tree, other)), strict=True)]
    return jax.tree.unflatten(jax.tree.structure(other), leaves)


ROWS = [*TABLE, *WITH_EXTRA]
OWN_LEAVES = [(row, leaves) for row in ROWS if row.inputs == "arrays" for leaves in row.leaves if leaves is not RAGGED]
CASES = [
    pytest.param(
        row,
        leaves,
        dtype,
        mixed,
        id=f"{row.name}-{'mixed' if mixed else jnp.dtype(dtype).name}",
        marks=[pytest.mark.exhaustive] if mixed else [],
    )
    for row, leaves in OWN_LEAVES
    for dtype, mixed in ((jnp.float32, False), (jnp.bfloat16, False), (jnp.float32, True))
    if (row.mixed or not mixed) and not (row.drifts and dtype == jnp.bfloat16)
]


@pytest.mark.parametrize(("row", "leaves", "dtype", "mixed"), one_in(2, CASES))
@pytest.mark.filterwarnings("ignore:.*seed.*is deprecated")
def test_ten_steps_equal_optax(row: Row, leaves: Leaves, dtype: Any, mixed: bool):
    """Over the leaves of the row's own. (`test_parity` has those over the ragged tree.)"""

    def grads_of(step: int) -> Any:
        return leaves.fill(step + 1, dtype, mixed=mixed, front=row.examples)

    follow(row, leaves.fill(0, dtype, mixed=mixed), grads_of, steps=STEPS)


@pytest.mark.parametrize("row", [secondary(row, listed=True) for row in ROWS if row.drifts])
def test_each_step_in_bfloat16(row: Row):
    """From the same state, each step is Optax's in float32, rounded."""
    ours, theirs = row.make(optcc), jax.jit(row.make(optax).update)
    (leaves,) = row.leaves
    params = leaves.fill(0, jnp.bfloat16)
    state, template = ours.init(params), row.make(optax).init(params)
    update = jax.jit(ours.update)
    for step in range(STEPS):
        grads, extra = leaves.fill(step + 1, jnp.bfloat16), row.extra(step)
        expected = theirs(*widen((grads, like(state, template), params)), **extra)
        updates, new_state = update(grads, state, params, **extra)
        got = widen((updates, new_state))
        same(got, jax.tree.unflatten(jax.tree.structure(got), jax.tree.leaves(expected)), 1e-2, f"{row.name} {step}")
        params, state = optcc.apply_updates(params, updates), new_state


@pytest.mark.parametrize("row", [row for row in TABLE if row.inputs == "pairs"], ids=lambda row: row.name)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_pairs_equal_optax(row: Row, dtype: Any):
    """Fast and slow parameters start apart."""
    (leaves,) = row.leaves
    params = optcc.LookaheadParams(leaves.fill(0, dtype), leaves.fill(99, dtype))

    def to_theirs(pair: Any) -> Any:
        return optax.LookaheadParams(*pair)

    follow(row, params, lambda step: leaves.fill(step + 1, dtype), steps=STEPS, to_theirs=to_theirs)


def complex_tree(leaves: Leaves, seed: int) -> Any:
    """Complex leaves among real ones of two dtypes."""
    real, imaginary = leaves.fill(seed, mixed=True), leaves.fill(seed + 50)
    chosen = ("tall", "vector", "volume", "scalar", "empty")
    return {
        name: jax.lax.complex(x.astype(jnp.float32), imaginary[name]) if name in chosen else x
        for name, x in real.items()
    }


@pytest.mark.parametrize("row", [row for row in TABLE if row.inputs == "complex"], ids=lambda row: row.name)
def test_complex_equals_optax(row: Row):
    (leaves,) = row.leaves
    follow(row, complex_tree(leaves, 0), lambda step: complex_tree(leaves, step + 1), steps=STEPS)


def some(names: tuple[str, ...] = ("tall", "vector", "cube")) -> Any:
    return Leaves("some", {name: AXES.shapes[name] for name in names}).fill(0)


def by_rank(tree: Any) -> Any:
    return jax.tree.map(lambda x: "matrices" if x.ndim > 1 else "vectors", tree)


def partition(lib: Any) -> Any:
    return lib.multi_transform({"matrices": lib.sm3(0.1), "vectors": lib.adafactor(0.1)}, by_rank)


NESTED = {
    "sm3 in MultiSteps": lambda lib: lib.MultiSteps(lib.sm3(0.1), 2),
    "keys in MultiSteps": lambda lib: lib.MultiSteps(lib.noisy_sgd(0.1, key=0), 2),
    "mechanize in apply_if_finite": lambda lib: lib.apply_if_finite(lib.contrib.mechanize(lib.sgd(0.1)), 2),
    "sm3 beside adafactor": partition,
    "sm3 in flatten": lambda lib: lib.flatten(lib.sm3(0.1)),
    "adafactor in flatten": lambda lib: lib.flatten(lib.adafactor(0.1)),
    "adafactor in split": lambda lib: lib.contrib.split_real_and_imaginary(lib.adafactor(0.1, 3)),
    "flatten in masked": lambda lib: lib.masked(lib.flatten(lib.adam(0.1)), matrices_only),
    "sm3 before factored": lambda lib: lib.chain(lib.sm3(0.1), lib.scale_by_factored_rms(min_dim_size_to_factor=3)),
    "two noises": lambda lib: lib.chain(lib.add_noise(0.1, 0.1, 0), lib.add_noise(0.1, 0.1, 1)),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested(name: str):
    """Inside wrappers and beside each other: numbers of Optax, in the pair and in the compiled step."""
    params = some()
    make = NESTED[name]
    ours, theirs = make(optcc), make(optax)
    opt = optcc.compile(ours, params)
    state, expected_state = ours.init(params), theirs.init(params)
    stepped, stepped_state, expected_params = jax.tree.map(jnp.copy, params), opt.init(params), params
    update, expected_update = jax.jit(ours.update), jax.jit(theirs.update)
    for step in range(4):
        grads = jax.tree.map(lambda x, step=step: x * (0.3 + step), some())
        updates, state = update(grads, state, params)
        expected, expected_state = expected_update(grads, expected_state, expected_params)
        params, expected_params = optcc.apply_updates(params, updates), optax.apply_updates(expected_params, expected)
        stepped, stepped_state = opt.step(grads, stepped_state, stepped)
    same((params, jax.tree.leaves(state)), (expected_params, jax.tree.leaves(expected_state)), 3e-5, name)
    same((stepped, stepped_state), (params, state), 3e-5, f"{name} compiled")


FAMILIES = [
    "adafactor", "scale_by_factored_rms", "sm3", "adaptive_grad_clip", "centralize", "add_noise", "mechanize_sgd",
    "flatten",
]  # fmt: skip
"""A row of each kind."""
families = pytest.mark.parametrize("name", FAMILIES)


@families
def test_odd_trees(name: str):
    """No leaves, None in the place of one, an empty leaf alone, a bare array."""
    tx = BY_NAME[name].make(optcc)
    for params in ({}, {"none": None}, {"empty": jnp.ones((0, 3)), "none": None}, jnp.ones((4, 5))):
        state = tx.init(params)
        updates, new_state = tx.update(params, state, params)
        assert jax.tree.structure((updates, new_state)) == jax.tree.structure((params, state))
        assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(updates))


@families
def test_under_scan_vmap_and_grad(name: str):
    tx, params = BY_NAME[name].make(optcc), some(("tall", "vector"))
    state = tx.init(params)
    alone, new_state = tx.update(params, state, params)
    body = lambda carry, _: (tx.update(params, carry, params)[1], None)  # noqa: E731
    same(jax.lax.scan(body, state, None, length=1)[0], new_state, 3e-5, "scan")
    both = jax.vmap(tx.update, in_axes=(0, None, None))(
        jax.tree.map(lambda x: jnp.stack([x, x]), params), state, params
    )
    same(jax.tree.map(lambda x: x[1], both[0]), alone, 3e-5, "vmap")
    total = lambda g: sum(jnp.sum(x) for x in jax.tree.leaves(tx.update(g, state, params)[0]))  # noqa: E731
    assert jax.tree.structure(jax.grad(total)(params)) == jax.tree.structure(params)


def test_ties_and_axes_of_size_one():
    """min_dim_size_to_factor=1 factors axes of size 1, and takes the last of equal axes, as Optax does."""
    leaves = Leaves("ties", {
        "square": (3, 3), "cube": (3, 3, 3), "row": (1, 4), "one": (1, 1), "hole": (2, 1, 2), "ones": (1, 1, 1),
    })  # fmt: skip
    ties = replace(BY_NAME["adafactor"], name="ties", make=lambda lib: lib.adafactor(0.1, 1))
    follow(ties, leaves.fill(0), lambda step: leaves.fill(step + 1), steps=STEPS)


@pytest.mark.parametrize("name", ["adafactor", "scale_by_sm3", "adaptive_grad_clip", "mechanize"])
def test_float64(name: str):
    with jax.enable_x64(True):
        params = AXES.fill(0, jnp.float64)
        follow(BY_NAME[name], params, lambda step: AXES.fill(step + 1, jnp.float64), steps=STEPS)


def test_raw_keys():
    """The data of a key is accepted in a state, as one that was saved, and as the argument."""
    tx = optcc.add_noise(0.3, 0.6, 3)
    params = some()
    state = tx.init(params)
    raw = state._replace(rng_key=jax.random.key_data(state.rng_key))
    expected, _ = tx.update(params, state, params)
    same(tx.update(params, raw, params)[0], expected, 0.0, "state")
    old = optcc.add_noise(0.3, 0.6, key=jax.random.key_data(jax.random.key(3)))
    same(old.update(params, old.init(params), params)[0], expected, 0.0, "argument")


def scalar_tree() -> Any:
    return {"a": {"b": jnp.ones(())}}


ERRORS: dict[str, tuple[Any, str]] = {
    "sm3": (
        lambda: optcc.chain(optcc.clip(1.0), optcc.sm3(0.1)).init(scalar_tree()),
        "sm3 keeps one bound for each axis, but this leaf is 0-d\n"
        "  where: chain[1][0] scale_by_sm3, leaf 'a.b'\n  fix:   mask it, or give it the shape (1,)",
    ),
    "rank 6": (
        lambda: optcc.adaptive_grad_clip(0.1).update(
            {"a": jnp.ones((2,) * 6)}, optcc.EmptyState(), {"a": jnp.ones((2,) * 6)}
        ),
        "adaptive_grad_clip does not know the units of a leaf of rank 6\n"
        "  where: adaptive_grad_clip, leaf 'a'\n  fix:   say which axes span one: axis=",
    ),
    "axis": (
        lambda: optcc.adaptive_grad_clip(0.1, axis=2).update(
            {"a": jnp.ones((2, 3))}, optcc.EmptyState(), {"a": jnp.ones((2, 3))}
        ),
        "adaptive_grad_clip was given the axis 2, but a leaf has the shape [2, 3]\n"
        "  where: adaptive_grad_clip, leaf 'a'\n  fix:   mask it, or give another axis=",
    ),
    "no seed": (
        lambda: optcc.add_noise(0.1, 0.1),
        "add_noise got neither seed nor key\n  fix:   pass one of them: an integer or jax.random.key(...)",
    ),
    "two seeds": (
        lambda: optcc.add_noise(0.1, 0.1, 1, key=2),
        "add_noise got both seed and key\n  fix:   pass one of them: an integer or jax.random.key(...)",
    ),
    "lookahead": (
        lambda: optcc.lookahead(optcc.sgd(0.1), 2, 0.5).update(
            some(), optcc.lookahead(optcc.sgd(0.1), 2, 0.5).init(some()), some()
        ),
        "lookahead needs LookaheadParams as parameters\n  where: lookahead\n"
        "  fix:   call update(grads, state, LookaheadParams.init_synced(params)), with grads of params.fast",
    ),
    "sync_period": (
        lambda: optcc.lookahead(optcc.sgd(0.1), 0, 0.5),
        "sync_period must be at least 1, got 0\n  where: lookahead",
    ),
    "num_betas": (
        lambda: optcc.contrib.mechanize(optcc.sgd(0.1), num_betas=0),
        "num_betas must be at least 1, got 0\n  where: mechanize",
    ),
    "examples": (
        lambda: (
            BY_NAME["dpsgd"]
            .make(optcc)
            .update(
                {"a": jnp.ones((3, 2)), "b": jnp.ones((4, 2))},
                BY_NAME["dpsgd"].make(optcc).init({"a": jnp.ones(2), "b": jnp.ones(2)}),
            )
        ),
        "the gradients of single examples need a common first axis, but this leaf has the shape [4, 2]\n"
        "  where: chain[0] differentially_private_aggregate, leaf 'b'\n"
        "  fix:   make them with jax.vmap of jax.grad over the examples",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str):
    call, text = ERRORS[name]
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
