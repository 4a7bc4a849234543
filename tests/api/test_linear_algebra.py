"""Global norm, power iteration and inverse roots against Optax 0.2.8 where it is right, else against LAPACK."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from optcc.linear_algebra import global_norm, matrix_inverse_pth_root, power_iteration


def symmetric(eigenvalues: Any, seed: int = 0) -> np.ndarray:
    """A float64 matrix with these eigenvalues and random eigenvectors."""
    values = np.asarray(eigenvalues, np.float64)
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(values.size, values.size)))
    return basis @ np.diag(values) @ basis.T


def inverse_root(matrix: np.ndarray, p: int, ridge_epsilon: float = 1e-6) -> np.ndarray:
    """The answer, from an eigendecomposition in float64."""
    values, vectors = np.linalg.eigh(matrix.astype(np.float64))
    return vectors @ np.diag((values + ridge_epsilon * values.max()) ** (-1 / p)) @ vectors.T


def both_power_iterations(matrix: np.ndarray, **options: Any) -> Any:
    """Vector and value of both libraries, vector first; one compilation is quicker than eager operations."""

    def both(matrix: jax.Array) -> Any:
        return power_iteration(matrix, **options), optax.power_iteration(matrix, **options)

    return jax.jit(both)(matrix)


# Compiled once per shape and p; the limits are traced.
jitted_root = jax.jit(matrix_inverse_pth_root, static_argnames=("p", "precision"))
jitted_power_iteration = jax.jit(power_iteration, static_argnames=("precision",))

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    "tree",
    [
        {"a": RNG.normal(size=(3, 4)).astype(np.float32), "b": [jnp.float32(2.0), None, jnp.zeros((0, 3))]},
        {"a": jnp.asarray([3 + 4j, 1j]), "b": jnp.ones(3)},
        [2.0, 3, jnp.arange(4)],
        [RNG.normal(size=100).astype(jnp.bfloat16)],
        [RNG.normal(size=100).astype(jnp.bfloat16), jnp.ones(3)],
        {},
    ],
    ids=["ragged", "complex", "numbers", "bf16", "mixed", "empty"],
)
def test_global_norm(tree: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        actual, expected = jax.jit(lambda tree: (global_norm(tree), optax.global_norm(tree)))(tree)
    assert (actual.shape, actual.dtype) == ((), expected.dtype)
    np.testing.assert_array_max_ulp(np.float32(actual), np.float32(expected), 2)


def test_global_norm_gradient() -> None:
    tree = {"a": jnp.asarray([3.0, -4.0]), "b": jnp.asarray(12.0)}
    slope = jax.grad(global_norm)(tree)
    jax.tree.map(lambda g, x: np.testing.assert_allclose(g, x / 13, rtol=1e-6), slope, tree)


@pytest.mark.parametrize("values", [[1, 2, 3], [0.5, -4, 1, 2], [7], [2, 2, 2]], ids=str)
def test_power_iteration_returns_value_then_vector(values: list[float]) -> None:
    matrix = symmetric(values).astype(np.float32)
    (value, vector), (expected_value, expected_vector) = both_power_iterations(matrix)
    largest = max(values, key=abs)
    np.testing.assert_allclose(value, largest, rtol=1e-5)
    np.testing.assert_allclose(matrix @ vector, largest * np.asarray(vector), atol=3e-5 * abs(largest))
    np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
    np.testing.assert_allclose(value, expected_value, rtol=1e-6)
    np.testing.assert_allclose(vector, expected_vector, atol=1e-5)


def test_power_iteration_options() -> None:
    matrix = symmetric([1, 2, 3]).astype(np.float32)
    # A start in an invariant direction stays there; a limit of iterations is kept.
    value, vector = power_iteration(np.diag([1.0, 2.0, 3.0]), v0=[0.0, 2.0, 0.0])
    assert (vector.tolist(), float(value)) == ([0, 1, 0], 2)
    table: list[dict[str, Any]] = [
        {"num_iters": 2},
        {"num_iters": 0},
        {"error_tolerance": 0.3},
        {"key": jax.random.key(3)},
    ]
    for options in table:
        (value, vector), (expected_value, expected_vector) = both_power_iterations(matrix, **options)
        np.testing.assert_allclose(value, expected_value, rtol=1e-6)
        np.testing.assert_allclose(vector, expected_vector, rtol=1e-4, atol=1e-6)
    # Positional, as documented for Optax 0.1.8.
    value, _ = power_iteration(matrix, 100, 1e-6, jax.lax.Precision.DEFAULT)
    np.testing.assert_allclose(value, 3, rtol=1e-5)


def test_power_iteration_of_a_function_on_trees() -> None:
    def double_and_triple(tree: dict[str, jax.Array]) -> dict[str, jax.Array]:
        return {"a": 2 * tree["a"], "b": 3 * tree["b"]}

    start = {"a": np.ones(2, np.float32), "b": np.ones((), np.float32)}
    value, vector = jax.jit(lambda v0: power_iteration(double_and_triple, v0=v0))(start)
    np.testing.assert_allclose(value, 3, rtol=1e-6)
    np.testing.assert_allclose(vector["a"], 0, atol=1e-5)
    np.testing.assert_allclose(vector["b"], 1, rtol=1e-6)


def test_power_iteration_of_zero_and_nan() -> None:
    value, vector = jitted_power_iteration(np.zeros((3, 3), np.float32))
    assert value == 0
    np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
    assert np.isnan(jitted_power_iteration(np.full((3, 3), np.nan, np.float32))[0])
    value, _ = jax.jit(lambda v0: power_iteration(lambda v: v * jnp.nan, v0=v0))(np.ones(3, np.float32))
    assert np.isnan(value)


# Eigenvalues whose largest quotients are 3, 1000 and 900000.
SPECTRA = ([1, 1.5, 2, 2.2, 2.4, 2.6, 2.8, 3], np.geomspace(1e-3, 1, 8), [1e-3, 1, 1, 1, 1, 1, 1, 900])
MATRICES = np.stack([symmetric(values) for values in SPECTRA]).astype(np.float32)


def assert_is_inverse_root(root: Any, matrix: np.ndarray, p: int) -> None:
    expected = inverse_root(matrix, p)
    rounding = 1e-6 + 2e-7 * np.linalg.cond(matrix)
    np.testing.assert_allclose(root, expected, rtol=0, atol=rounding * np.abs(expected).max())


@pytest.mark.parametrize("p", [1, 2, 3, 5, 8, 31, 64])
def test_inverse_root_is_right_for_every_p(p: int) -> None:
    roots, errors = jax.jit(jax.vmap(lambda matrix: matrix_inverse_pth_root(matrix, p)))(MATRICES)
    for matrix, root, error in zip(MATRICES, roots, errors, strict=True):
        assert_is_inverse_root(root, matrix, p)
        assert error < 1e-5
    if p == 8:
        reference, _ = jax.jit(lambda matrix: optax.matrix_inverse_pth_root(matrix, p))(MATRICES[0])
        np.testing.assert_allclose(roots[0], reference, rtol=0, atol=2e-6)


@pytest.mark.parametrize("values", [[3.0], np.linspace(0.5, 40, 17)], ids=["1x1", "17x17"])
def test_inverse_root_with_one_p_each(values: Any) -> None:
    exponents = np.asarray([1, 2, 3, 4, 7, 11, 16, 50])
    matrices = np.stack([symmetric(values, int(seed)) for seed in exponents]).astype(np.float32)
    roots, errors = jax.jit(jax.vmap(matrix_inverse_pth_root))(matrices, exponents)
    assert errors.shape == exponents.shape
    for matrix, p, root in zip(matrices, exponents, roots, strict=True):
        assert_is_inverse_root(root, matrix, int(p))


@pytest.mark.parametrize("scale", [1e-30, 1e35])
def test_extreme_scales(scale: float) -> None:
    matrix = symmetric([1, 2, 3]).astype(np.float32)
    # With the ridge off: at the small scale it would be larger than the matrix.
    root, _ = jitted_root(matrix * np.float32(scale), p=3, ridge_epsilon=0.0)
    np.testing.assert_allclose(root, inverse_root(matrix, 3, 0.0) * scale ** (-1 / 3), rtol=1e-4)
    np.testing.assert_allclose(jitted_power_iteration(matrix * np.float32(scale))[0], 3 * scale, rtol=1e-5)


def test_inverse_root_of_zero_is_that_of_the_ridge() -> None:
    root, error = jitted_root(np.zeros((3, 3), np.float32), p=3)
    np.testing.assert_allclose(root, 1e22 ** (1 / 3) * np.eye(3), rtol=1e-5)
    assert error <= 1e-6


def test_growing_error_ends_the_iteration_before_it() -> None:
    """Of an indefinite matrix, from the first iteration on; of another one, when rounding keeps it from shrinking."""
    root, error = jitted_root(np.diag(np.asarray([1, -1, 1], np.float32)), p=3)
    np.testing.assert_allclose(root, np.eye(3) * np.sqrt(3) ** (-1 / 3), rtol=1e-5)
    assert error > 1
    matrix = symmetric([1, 2, 3]).astype(np.float32)
    root, _ = jitted_root(matrix, p=3, error_tolerance=0.0)
    np.testing.assert_allclose(root, inverse_root(matrix, 3), rtol=2e-5, atol=1e-6)


def test_inverse_root_options() -> None:
    matrix = symmetric([1, 2, 3]).astype(np.float32)
    root, _ = jitted_root(matrix, p=3, ridge_epsilon=0.1)
    np.testing.assert_allclose(root, inverse_root(matrix, 3, 0.1), rtol=2e-5, atol=1e-6)
    # The fewer iterations, the larger the error; none at all give a multiple of the identity.
    errors = [jitted_root(matrix, p=3, num_iters=num_iters)[1] for num_iters in (0, 2, 100)]
    assert errors[0] > 0.5 > errors[1] > 1e-3 > 1e-6 > errors[2]
    root, _ = jitted_root(matrix, p=3, num_iters=0)
    np.testing.assert_allclose(root, np.eye(3) * np.linalg.norm(matrix) ** (-1 / 3), rtol=1e-5)
    _, error = jitted_root(matrix, p=3, error_tolerance=0.1)
    assert 1e-6 < error < 0.1
    # Positional, and with a float that is whole.
    root, _ = matrix_inverse_pth_root(matrix, 3.0, 100, 1e-6, 1e-6, jax.lax.Precision.DEFAULT)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(root, inverse_root(matrix, 3), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("dtype", "result"), [(jnp.bfloat16, jnp.bfloat16), (jnp.int32, jnp.float32)])
def test_dtypes(dtype: Any, result: Any) -> None:
    matrix = jnp.asarray([[4, 1], [1, 2]], dtype)
    root, error = jitted_root(matrix, p=3)
    assert (root.dtype, error.dtype) == (result, jnp.float32)
    np.testing.assert_allclose(np.float32(root), inverse_root(np.asarray(matrix, np.float32), 3), rtol=2e-2)
    value, vector = jitted_power_iteration(matrix)
    assert vector.dtype == value.dtype == result
    np.testing.assert_allclose(np.float32(value), 3 + np.sqrt(2), rtol=1e-2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: power_iteration(np.ones((3, 4))), r"power_iteration: matrix must have shape \(n, n\), got \(3, 4\)"),
        (lambda: power_iteration(np.ones(3)), r"power_iteration: .*got \(3,\)"),
        (lambda: power_iteration(lambda v: v), "power_iteration: a function as matrix needs v0"),
        (lambda: matrix_inverse_pth_root(np.ones((2, 3, 3)), 2), r"matrix_inverse_pth_root: .*got \(2, 3, 3\)"),
        (lambda: matrix_inverse_pth_root(np.eye(3), 0), "p must be a positive integer, got 0"),
        (lambda: matrix_inverse_pth_root(np.eye(3), -2), "p must be a positive integer, got -2"),
        (lambda: matrix_inverse_pth_root(np.eye(3), 2.5), "p must be a positive integer, got 2.5"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_refusals(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=rf"{text}[^\n]*\n  fix:   \w"):
        call()
