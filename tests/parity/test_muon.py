"""Muon beside Optax, and what batching by shape owes: singular values, no growth with the leaves, errors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.report import cost_of
from tests.parity.states import same_structure
from tests.parity.trajectories import same
from tests.trees import Leaves

LEAVES = Leaves("matrices", {"w": (4, 7), "v": (7, 4), "u": (4, 7), "b": (3,), "k": (2, 3, 4), "s": (), "row": (1, 5)})


def numbers(lib: Any) -> Any:
    """One leaf transposed, one a batch of matrices, one with two axes as rows, the rest Adam's."""
    m = lib.contrib.MuonDimensionNumbers
    return {"w": m(1, 0), "v": m(), "u": None, "b": None, "k": m((0, 1), 2), "s": None, "row": m(-2, -1)}


def last_axes(lib: Any) -> Any:
    """A function of the parameters: stacked matrices."""
    m = lib.contrib.MuonDimensionNumbers
    return lambda params: jax.tree.map(lambda x: m(-1, -2) if x.ndim >= 2 else None, params)


CASES = {
    "plain": lambda lib: lib.contrib.muon(0.1, weight_decay=0.05, adam_b1=0.8, adam_weight_decay=0.02),
    "rows": lambda lib: lib.contrib.muon(
        0.1, "dion", 5, 0.8, 1e-4, nesterov=False, adaptive=True, consistent_rms=0.2, adam_learning_rate=0.02
    ),
    "few_steps": lambda lib: lib.contrib.muon(0.1, (2.0, -1.5, 0.5), 3, mu_dtype=jnp.float32),
    "numbers": lambda lib: lib.contrib.muon(0.1, muon_weight_dimension_numbers=numbers(lib)),
    "function": lambda lib: lib.contrib.muon(0.1, muon_weight_dimension_numbers=last_axes(lib)),
    "spectral": lambda lib: lib.contrib.muon(0.1, preconditioning="spectral"),
    "aol": lambda lib: lib.contrib.muon(0.1, preconditioning="aol"),
    "schatten": lambda lib: lib.contrib.muon(0.1, preconditioning="schatten"),
}


MORE = ("few_steps", "function", "aol", "schatten")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.exhaustive] if name in MORE else []) for name in CASES]
)
def test_six_steps_equal_optax(name: str):
    """The pair, and the compiled step."""
    ours, theirs = (CASES[name](lib) for lib in (optcc, optax))
    params = expected_params = LEAVES.fill(0)
    state, expected_state = ours.init(params), theirs.init(params)
    same_structure(state, expected_state)
    opt, stepped = optcc.compile(ours, params), jax.tree.map(jnp.copy, params)
    stepped_state = opt.init(params)
    update, expected_update = jax.jit(ours.update), jax.jit(theirs.update)
    for step in range(6):
        grads = LEAVES.fill(step + 1)
        updates, state = update(grads, state, params)
        expected, expected_state = expected_update(grads, expected_state, expected_params)
        params, expected_params = (
            optcc.apply_updates(p, u) for p, u in ((params, updates), (expected_params, expected))
        )
        stepped, stepped_state = opt.step(grads, stepped_state, stepped)
    same((params, state), (expected_params, expected_state), 1e-5, name)
    same((stepped, stepped_state), (params, state), 1e-5, f"{name} compiled")


def test_bfloat16_is_computed_in_float32():
    """Each step is Optax's in float32, rounded; Optax itself multiplies in bfloat16."""
    ours, theirs = CASES["plain"](optcc), CASES["plain"](optax)
    params, grads = LEAVES.fill(0, jnp.bfloat16), LEAVES.fill(1, jnp.bfloat16)
    updates, state = ours.update(grads, ours.init(params), params)
    assert {x.dtype for x in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}
    assert state.inner_states["muon"].inner_state[0].mu["w"].dtype == jnp.bfloat16
    wide = [jax.tree.map(lambda x: x.astype(jnp.float32), tree) for tree in (grads, params)]
    expected, _ = theirs.update(wide[0], theirs.init(wide[1]), wide[1])
    same(jax.tree.map(lambda x: x.astype(jnp.float32), updates), expected, 1e-2, "bfloat16")


def test_singular_values_come_near_one():
    """And the singular vectors stay."""
    x = np.random.default_rng(0).normal(size=(3, 8, 20))
    u, _, v = np.linalg.svd(x, full_matrices=False)
    numbers = optcc.contrib.MuonDimensionNumbers(1, 2)
    tx = optcc.contrib.scale_by_muon(beta=0.0, nesterov=False, weight_dimension_numbers=numbers)
    grads = jnp.asarray(x, jnp.float32)
    found, _ = tx.update(grads, tx.init(grads), grads)
    inside = u.swapaxes(1, 2) @ np.asarray(found, np.float64) @ v.swapaxes(1, 2)
    values = np.diagonal(inside, axis1=1, axis2=2)
    assert 0.5 < values.min() < values.max() < 1.5
    np.testing.assert_allclose(inside - values[:, None, :] * np.eye(8), 0.0, atol=1e-5)


@pytest.mark.parametrize("name", ["polar_express", "deepseek", "cubic", "standard"])
@pytest.mark.parametrize("steps", [5, 10])
def test_named_coefficients_bring_singular_values_near_one(name: str, steps: int):
    """Long sets at any number of iterations; what is far from one comes near with enough of them."""
    x = np.random.default_rng(1).normal(size=(6, 9))
    tx = optcc.contrib.muon(1.0, name, steps, beta=0.0, nesterov=False)
    updates, _ = tx.update(
        {"w": jnp.asarray(x, jnp.float32)}, tx.init({"w": jnp.ones((6, 9))}), {"w": jnp.ones((6, 9))}
    )
    values = np.linalg.svd(np.asarray(updates["w"]) / np.sqrt(9 / 6), compute_uv=False)
    assert values.max() < 1.6
    assert steps == 5 or values.min() > 0.6


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("preconditioning", ["frobenius", "aol"])
def test_products_of_short_sides_give_the_same(steps: int, preconditioning: Any):
    """Long matrices by their Gram matrices, beside short ones, which are iterated as ever."""
    shapes = {"long": (4, 24), "tall": (3, 20, 5), "square": (6, 6)}
    grads = {
        k: jnp.asarray(np.random.default_rng(i).normal(size=s), jnp.float32) for i, (k, s) in enumerate(shapes.items())
    }
    numbers = {k: optcc.contrib.MuonDimensionNumbers(-2, -1) for k in shapes}
    coefficients = ((1.875, -1.25, 0.375),) * steps
    found, plain = (
        tx.update(grads, tx.init(grads), grads)[0]
        for tx in (
            optcc.contrib.scale_by_muon(
                coefficients, steps, preconditioning=preconditioning, weight_dimension_numbers=numbers, gram_from=bound
            )
            for bound in (3.0, None)
        )
    )
    same(found, plain, 1e-5, "by Gram matrices")
    np.testing.assert_array_equal(found["square"], plain["square"])


def test_products_of_short_sides_take_fewer_operations():
    """At an aspect of four: 60 in place of 90 operations for each cube of the short side."""
    shapes = {"w": jax.ShapeDtypeStruct((64, 256), jnp.float32)}

    def flops(bound: float | None) -> int:
        opt = optcc.compile(optcc.contrib.muon(0.1, gram_from=bound), shapes)
        return sum(p.flops for p in cost_of(opt.staged.program.step.op).products)

    assert flops(None) == 90 * 64**3
    assert flops(2.0) == 60 * 64**3


def test_the_precision_is_what_jax_is_set_to():
    matrix = jax.ShapeDtypeStruct((8, 16), jnp.float32)
    assert "optim.matmul <default>" in str(optcc.compile(optcc.contrib.muon(0.1), matrix).ir())
    with jax.default_matmul_precision("highest"):
        opt = optcc.compile(optcc.contrib.muon(0.1), matrix)
        assert "optim.matmul <highest>" in str(opt.ir())
        assert "precision = [HIGHEST, HIGHEST]" in opt.stablehlo()


def test_empty_matrices_and_narrow_dtypes_compile():
    """A batch without values beside others, on each backend, as the pair has it."""
    shapes = {"none": (0, 3), "w": (3, 4), "few": (2, 0, 5)}
    params = {k: jnp.arange(np.prod(s), dtype=jnp.bfloat16).reshape(s) + 1 for k, s in shapes.items()}
    numbers = {k: optcc.contrib.MuonDimensionNumbers(-2, -1) for k in shapes}
    tx = optcc.contrib.scale_by_muon(weight_dimension_numbers=numbers)
    expected = optcc.apply_updates(params, tx.update(params, tx.init(params), params)[0])
    for backend in ("stablehlo", "native"):
        opt = optcc.compile(tx, params, backend=backend)
        found, _ = opt.step(params, opt.init(params), jax.tree.map(jnp.copy, params))
        same(found, expected, 1e-2, backend)


def test_matrices_of_one_shape_are_one_batch():
    """The products of a step do not grow with the leaves; a leaf that is transposed is in the same batch."""

    def products(count: int) -> int:
        shapes = {f"w{i}": jax.ShapeDtypeStruct((8, 16) if i % 2 else (16, 8), jnp.float32) for i in range(count)}
        return optcc.compile(optcc.contrib.muon(0.1), shapes).stablehlo().count("dot_general")

    assert products(2) == products(40) > 0


def test_errors():
    with pytest.raises(ValueError, match=r"ns_coeffs must have shape \(3,\) or \(n, 3\), got \(2,\)"):
        optcc.contrib.scale_by_muon((1.0, 2.0))
    with pytest.raises(ValueError, match="Not enough coeffs to perform 1 steps"):
        optcc.contrib.muon(0.1, ((1.0, 2.0, 3.0),) * 2, 1)
    with pytest.raises(ValueError, match=r"Unknown ns_coeff preset string: standart\n(.|\n)*'standard'"):
        optcc.contrib.muon(0.1, "standart")
    with pytest.raises(ValueError, match="Unknown preconditioning x"):
        optcc.contrib.muon(0.1, preconditioning="x")  # pyright: ignore[reportArgumentType]
    vector = {"b": jnp.ones(3)}
    with pytest.raises(ValueError, match=r"rank >= 2, got x\.ndim=1"):
        optcc.contrib.scale_by_muon().update(vector, optcc.contrib.scale_by_muon().init(vector))
    tx = optcc.contrib.scale_by_muon(weight_dimension_numbers=optcc.contrib.MuonDimensionNumbers(0, -2))
    matrix = jnp.ones((2, 3))
    with pytest.raises(ValueError, match="disjoint"):
        tx.update(matrix, tx.init(matrix))
    wrong = optcc.contrib.scale_by_muon(weight_dimension_numbers={"a": optcc.contrib.MuonDimensionNumbers()})
    with pytest.raises(optcc.TreeMismatchError, match="no prefix of the parameters"):
        wrong.update(matrix, wrong.init(matrix))


def test_dimension_numbers_may_be_a_prefix():
    """None stands for a subtree, of which each leaf is masked."""
    params = {name: {"a": jnp.ones((2, 3)), "b": jnp.ones((2, 3))} for name in ("w", "v")}

    def init(lib: Any) -> Any:
        given = {"w": None, "v": {"a": lib.contrib.MuonDimensionNumbers(), "b": None}}
        return lib.contrib.muon(0.1, muon_weight_dimension_numbers=given).init(params)

    same_structure(init(optcc), init(optax))
