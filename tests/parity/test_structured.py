"""What looks at axes, at all leaves as one or at random numbers, against Optax, and what it owes beside numbers."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.parity.test_parity import names
from tests.rows import Row
from tests.table_structured import (
    ADAFACTOR,
    AXES,
    CASES,
    COMPLEX,
    FACTORED,
    LOOKAHEAD,
    MECHANIC,
    NOISE,
    PRIVATE,
    SM3,
    UNITS,
    WITH_EMPTY,
    Case,
    random_tree,
)
from tests.trees import matrices_only

STEPS = 10


def is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def plain(tree: Any) -> Any:
    """Keys as their data."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)


def widen(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, tree)


def like(tree: Any, other: Any) -> Any:
    """The arrays of one tree in the dtypes and containers of another."""
    leaves = [x if is_key(x) else x.astype(y.dtype) for x, y in zip(*map(jax.tree.leaves, (tree, other)), strict=True)]
    return jax.tree.unflatten(jax.tree.structure(other), leaves)


def same(got: Any, expected: Any, rtol: float, what: str) -> None:
    """Dtypes, shapes, integers and key data equal, floats within `rtol` of the largest value of the leaf."""
    pairs = zip(jax.tree_util.tree_leaves_with_path(plain(got)), jax.tree.leaves(plain(expected)), strict=True)
    for (path, x), y in pairs:
        where = f"{what}{jax.tree_util.keystr(path)}"
        assert (x.dtype, x.shape) == (y.dtype, y.shape), where
        wide = np.complex128 if jnp.iscomplexobj(x) else np.float64
        a, b = np.asarray(x, wide), np.asarray(y, wide)
        if jnp.issubdtype(x.dtype, jnp.inexact):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * float(np.max(np.abs(b), initial=0)), err_msg=where)
        else:
            np.testing.assert_array_equal(a, b, err_msg=where)


def spacing(tree: Any) -> float:
    """Tolerance for trajectories: of bfloat16, if any leaf is that narrow."""
    return 4e-2 if any(x.dtype == jnp.bfloat16 for x in jax.tree.leaves(tree)) else 3e-5


def run(row: Row, params: Any, grads_of: Any, *, to_theirs: Any = lambda p: p, examples: int = 1) -> None:
    """The pair and the compiled step stay with Optax for ten steps, in numbers, dtypes and state structure."""
    ours, theirs = row.make(optcc), row.make(optax)
    update, expected_update = jax.jit(ours.update), jax.jit(theirs.update)
    expected_params = to_theirs(params)
    state, expected_state = ours.init(params), theirs.init(expected_params)
    assert names(state) == names(expected_state)
    same(state, expected_state, 0.0, f"{row.name} init")
    opt = optcc.compile(ours, params, examples=examples)
    stepped, stepped_state = jax.tree.map(jnp.copy, params), opt.init(params)
    assert jax.tree.structure(stepped_state) == jax.tree.structure(state)
    for step in range(STEPS):
        grads = grads_of(step)
        updates, state = update(grads, state, params)
        expected, expected_state = expected_update(grads, expected_state, expected_params)
        assert [x.dtype for x in jax.tree.leaves(updates)] == [x.dtype for x in jax.tree.leaves(expected)]
        params = optcc.apply_updates(params, updates)
        expected_params = optax.apply_updates(expected_params, expected)
        stepped, stepped_state = opt.step(grads, stepped_state, stepped)
    rtol = spacing((params, state))
    same(params, expected_params, rtol, row.name)
    same(state, expected_state, rtol, row.name)
    same(stepped, params, rtol, f"{row.name} compiled")
    same(stepped_state, state, rtol, f"{row.name} compiled")


KINDS = [
    pytest.param(
        case,
        dtype,
        mixed,
        id=f"{case.row.name}-{'mixed' if mixed else jnp.dtype(dtype).name}",
        marks=[pytest.mark.exhaustive] if mixed else [],
    )
    for case in CASES
    for dtype, mixed in ((jnp.float32, False), (jnp.bfloat16, False), (jnp.float32, True))
    if (case.mixed or not mixed) and (case.row not in MECHANIC or dtype == jnp.float32)
]
"""Mechanic sums up differences that bfloat16 does not hold: there it is compared one step at a time, below."""


@pytest.mark.parametrize(("case", "dtype", "mixed"), KINDS)
@pytest.mark.filterwarnings("ignore:.*seed.*is deprecated")
def test_ten_steps_equal_optax(case: Case, dtype: Any, mixed: bool):
    def grads_of(step: int) -> Any:
        return random_tree(case.shapes, step + 1, dtype, mixed=mixed, front=case.examples)

    run(case.row, random_tree(case.shapes, 0, dtype, mixed=mixed), grads_of, examples=max(case.examples, 1))


@pytest.mark.parametrize("row", MECHANIC, ids=lambda row: row.name)
def test_mechanize_bfloat16(row: Row):
    """From the same state, each step is Optax's in float32, rounded."""
    ours, theirs = row.make(optcc), jax.jit(row.make(optax).update)
    params = random_tree(WITH_EMPTY, 0, jnp.bfloat16)
    state, template = ours.init(params), row.make(optax).init(params)
    update = jax.jit(ours.update)
    for step in range(STEPS):
        grads = random_tree(WITH_EMPTY, step + 1, jnp.bfloat16)
        expected = theirs(*widen((grads, like(state, template), params)))
        updates, new_state = update(grads, state, params)
        got = widen((updates, new_state))
        same(got, jax.tree.unflatten(jax.tree.structure(got), jax.tree.leaves(expected)), 1e-2, f"{row.name} {step}")
        params, state = optcc.apply_updates(params, updates), new_state


@pytest.mark.parametrize("row", LOOKAHEAD, ids=lambda row: row.name)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
def test_lookahead_equals_optax(row: Row, dtype: Any):
    """Its parameters are pairs; fast and slow ones start apart."""
    params = optcc.LookaheadParams(random_tree(WITH_EMPTY, 0, dtype), random_tree(WITH_EMPTY, 99, dtype))

    def to_theirs(pair: Any) -> Any:
        return optax.LookaheadParams(*pair)

    run(row, params, lambda step: random_tree(WITH_EMPTY, step + 1, dtype), to_theirs=to_theirs)


def complex_tree(seed: int) -> Any:
    """Complex leaves among real ones of two dtypes."""
    real, imaginary = random_tree(WITH_EMPTY, seed, mixed=True), random_tree(WITH_EMPTY, seed + 50)
    chosen = ("tall", "vector", "volume", "scalar", "empty")
    return {
        name: jax.lax.complex(x.astype(jnp.float32), imaginary[name]) if name in chosen else x
        for name, x in real.items()
    }


@pytest.mark.parametrize("row", COMPLEX, ids=lambda row: row.name)
def test_complex_equals_optax(row: Row):
    run(row, complex_tree(0), lambda step: complex_tree(step + 1))


def some(names: tuple[str, ...] = ("tall", "vector", "cube")) -> Any:
    return random_tree({name: AXES[name] for name in names}, 0)


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


FAMILIES = {
    row.name: row.make for row in (ADAFACTOR[0], FACTORED[0], SM3[2], UNITS[0], UNITS[2], NOISE[0], MECHANIC[1])
} | {"flatten": lambda lib: lib.flatten(lib.adam(0.1))}
families = pytest.mark.parametrize("name", FAMILIES)


@families
def test_odd_trees(name: str):
    """No leaves, None in the place of one, an empty leaf alone, a bare array."""
    tx = FAMILIES[name](optcc)
    for params in ({}, {"none": None}, {"empty": jnp.ones((0, 3)), "none": None}, jnp.ones((4, 5))):
        state = tx.init(params)
        updates, new_state = tx.update(params, state, params)
        assert jax.tree.structure((updates, new_state)) == jax.tree.structure((params, state))
        assert all(bool(jnp.all(jnp.isfinite(x))) for x in jax.tree.leaves(updates))


@families
def test_under_scan_vmap_and_grad(name: str):
    tx, params = FAMILIES[name](optcc), some(("tall", "vector"))
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
    shapes: dict[str, tuple[int, ...]] = {
        "square": (3, 3), "cube": (3, 3, 3), "row": (1, 4), "one": (1, 1), "hole": (2, 1, 2), "ones": (1, 1, 1),
    }  # fmt: skip
    params = random_tree(shapes, 0)
    run(Row("ties", lambda lib: lib.adafactor(0.1, 1)), params, lambda step: random_tree(shapes, step + 1))


def test_float64():
    with jax.enable_x64(True):
        for row in (ADAFACTOR[0], SM3[0], UNITS[0], MECHANIC[0]):
            params = random_tree(AXES, 0, jnp.float64)
            run(row, params, lambda step: random_tree(AXES, step + 1, jnp.float64))


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
            PRIVATE[1]
            .make(optcc)
            .update(
                {"a": jnp.ones((3, 2)), "b": jnp.ones((4, 2))},
                PRIVATE[1].make(optcc).init({"a": jnp.ones(2), "b": jnp.ones(2)}),
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
