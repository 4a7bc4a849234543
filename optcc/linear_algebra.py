"""Norm of a tree, largest eigenvalue and inverse roots of a matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from optcc.base import PyTree
from optcc.errors import message
from optcc.numerics import Scalar, abs_sq

_SMALLEST_SCALE = 1e-16  # Matrices whose entries are all below this are treated as having one eigenvalue of that size.


def global_norm(updates: PyTree) -> jax.Array:
    """``sqrt(sum(|x|**2))`` over all entries of all leaves.

    Args:
      updates: pytree of arrays or Python numbers, real or complex.

    Returns:
      A real 0-d array; 0 for a tree without leaves. Every leaf is summed in its own dtype, then the sums in their
      common one: 16-bit leaves give a 16-bit norm.
    """
    return jnp.sqrt(sum(jnp.sum(abs_sq(leaf)) for leaf in jax.tree.leaves(updates)))


def power_iteration(
    matrix: jax.typing.ArrayLike | Callable[[Any], Any],
    num_iters: int = 100,
    error_tolerance: float = 1e-6,
    precision: lax.Precision = lax.Precision.HIGHEST,
    *,
    v0: PyTree | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, PyTree]:
    """The eigenvalue of largest absolute value, and its eigenvector, by repeated multiplication.

    Per iteration ``v <- w / |w|``, ``w <- A v``, ``value <- v . w``, where ``w`` starts as ``A v0``. It stops when
    ``|w - value * v| < error_tolerance * |value|``; a multiple of the identity stops it at once.

    Args:
      matrix: symmetric matrix ``(n, n)``, or a linear function from trees like ``v0`` to the same.
      num_iters: limit of the number of iterations.
      error_tolerance: limit of the relative residual. In float32 1e-6 is close to the rounding error.
      precision: of the products with a matrix; faster and less exact on accelerators than the default.
      v0: start vector, of length ``n``, or a tree if ``matrix`` is a function; None draws a uniform one.
      key: random key for drawing ``v0``; None is a fixed one.

    Returns:
      The eigenvalue, then the eigenvector, of norm 1 and with arbitrary sign, as in Optax 0.2; Optax 0.1 had them in
      the other order. A zero matrix gives the eigenvalue 0 and the start vector. For a matrix both have its dtype,
      float32 if that is an integer one; smaller floats are computed in float32.

    Raises:
      ValueError: ``matrix`` is not a square matrix, or is a function and ``v0`` is missing.

    Reference: Golub and Van Loan, Matrix Computations, section 7.3.1.
    """
    if callable(matrix):
        if v0 is None:
            raise ValueError(
                message("power_iteration: a function as matrix needs v0", fix="pass v0, a tree the function accepts")
            )
        vector, value = _iterate(matrix, v0, num_iters, error_tolerance, precision)
        return value, vector
    array, result_dtype = _square_matrix("power_iteration", matrix)
    # Scaled to entries of at most 1: the squares in the norms must neither overflow nor vanish.
    scale = _largest_entry(array)
    scale = jnp.where(scale == 0, jnp.ones_like(scale), scale)
    array = array / scale
    if v0 is None:
        key = jax.random.PRNGKey(0) if key is None else key
        v0 = jax.random.uniform(key, array.shape[-1:], array.dtype, -1.0, 1.0)

    def multiply(v: jax.Array) -> jax.Array:
        return jnp.matmul(array, v, precision=precision)

    vector, value = _iterate(multiply, jnp.asarray(v0, array.dtype), num_iters, error_tolerance, precision)
    return (value * scale).astype(result_dtype), vector.astype(result_dtype)


def _iterate(
    multiply: Callable[[Any], Any], v0: PyTree, num_iters: int, error_tolerance: float, precision: lax.Precision
) -> tuple[PyTree, jax.Array]:
    def dot(a: PyTree, b: PyTree) -> jax.Array:
        products = jax.tree.map(lambda x, y: jnp.vdot(x, y, precision=precision), a, b)
        return jnp.asarray(sum(jax.tree.leaves(products)))

    def direction(w: PyTree, otherwise: PyTree) -> PyTree:
        norm = global_norm(w)
        return jax.tree.map(lambda x, y: jnp.where(norm > 0, x / norm, y), w, otherwise)

    def unfinished(carry: tuple[PyTree, PyTree, jax.Array, jax.Array]) -> jax.Array:
        v, product, value, iteration = carry
        residual = global_norm(jax.tree.map(lambda w, x: w - value * x, product, v))
        # Negated so that NaN goes on: the result is then NaN, not the 0 that value starts from.
        return ~(residual <= error_tolerance * jnp.abs(value)) & (iteration < num_iters)

    def body(
        carry: tuple[PyTree, PyTree, jax.Array, jax.Array],
    ) -> tuple[PyTree, PyTree, jax.Array, jax.Array]:
        v, product, _, iteration = carry
        v = direction(product, v)
        product = multiply(v)
        return v, product, dot(v, product), iteration + 1

    v0 = direction(v0, v0)
    product = multiply(v0)
    start = (v0, product, jnp.zeros_like(dot(v0, product)), jnp.int32(0))
    v, product, value, _ = lax.while_loop(unfinished, body, start)
    return direction(product, v), value


def matrix_inverse_pth_root(
    matrix: jax.typing.ArrayLike,
    p: int | jax.Array,
    num_iters: int = 100,
    ridge_epsilon: float = 1e-6,
    error_tolerance: float = 1e-6,
    precision: lax.Precision = lax.Precision.HIGHEST,
) -> tuple[jax.Array, jax.Array]:
    """``(A + ridge * I)**(-1/p)`` by the coupled Newton iteration.

    First ``A <- A + ridge * I`` with ``ridge = ridge_epsilon * max(largest eigenvalue of A, 1e-16)``. Then, from
    ``M = A / |A|_F`` and ``X = |A|_F**(-1/p) I``, each iteration is::

        T = ((p + 1) I - M) / p
        M <- T**p M
        X <- X T

    ``M`` tends to ``I`` while ``X**-p M = A`` stays true, so ``X`` tends to the root. It stops when no entry of
    ``M - I`` is above ``error_tolerance``, or when that error grows, which only rounding brings about: the eigenvalues
    of ``M`` start in (0, 1] and rise. (Optax starts from ``(1 + p) / 2`` times this ``M``. That takes fewer iterations,
    but for large ``p`` the first one then takes the largest eigenvalue to nearly 0, and its digits are lost.)

    Args:
      matrix: symmetric positive semidefinite ``(n, n)``; of an indefinite one the error stays large.
      p: positive integer, any. An array is accepted too, so that `jax.vmap` can take one ``p`` per matrix; it is not
        checked.
      num_iters: limit of the number of iterations.
      ridge_epsilon: what is added to the diagonal, relative to the largest eigenvalue.
      error_tolerance: limit of the largest entry of ``|M - I|``.
      precision: of the matrix products.

    Returns:
      The root, of the dtype of ``matrix`` (float32 if that is an integer one), and the last error, a 0-d array of the
      dtype of the computation, which is float32 or larger. The root's relative error is at least about the rounding
      error times the condition number of ``A``.

    Raises:
      ValueError: ``matrix`` is not a square matrix, or ``p`` is not a positive integer.

    Reference: Higham, Functions of Matrices, equation 7.18.
    """
    array, result_dtype = _square_matrix("matrix_inverse_pth_root", matrix)
    exponent = _positive_integer(p)
    identity = jnp.eye(array.shape[-1], dtype=array.dtype)

    def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.matmul(a, b, precision=precision)

    # Scaled for the same reason as in power_iteration.
    scale = jnp.maximum(_largest_entry(array), _SMALLEST_SCALE)
    array = array / scale
    largest, _ = power_iteration(array, num_iters, error_tolerance, precision)
    array = array + ridge_epsilon * jnp.maximum(largest, _SMALLEST_SCALE / scale) * identity

    norm = jnp.linalg.norm(array)
    m = array / norm
    x = identity * (norm * scale) ** (-1 / exponent)

    def unfinished(carry: _NewtonCarry) -> jax.Array:
        iteration, _, _, error, improves = carry
        return (iteration < num_iters) & (error > error_tolerance) & improves

    def body(carry: _NewtonCarry) -> _NewtonCarry:
        iteration, m, x, error, _ = carry
        t = (1 + 1 / exponent) * identity - m / exponent
        m = multiply(_matrix_power(t, exponent, multiply), m)
        new_error = _largest_entry(m - identity)
        improves = new_error < 1.2 * error
        return iteration + 1, m, jnp.where(improves, multiply(x, t), x), new_error, improves

    start = (jnp.int32(0), m, x, _largest_entry(m - identity), jnp.bool_(True))
    _, _, x, error, _ = lax.while_loop(unfinished, body, start)
    return x.astype(result_dtype), error


_NewtonCarry = tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]


def _largest_entry(array: jax.Array) -> jax.Array:
    return jnp.max(jnp.abs(array), initial=0.0)


def _matrix_power(
    matrix: jax.Array, p: int | jax.Array, multiply: Callable[[jax.Array, jax.Array], jax.Array]
) -> jax.Array:
    """``matrix**p`` by repeated squaring; unrolled for a Python int."""
    if isinstance(p, int):
        power = matrix
        for bit in f"{p:b}"[1:]:
            power = multiply(power, power)
            if bit == "1":
                power = multiply(power, matrix)
        return power

    def body(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        power, square, rest = carry
        power = jnp.where(rest % 2 == 1, multiply(power, square), power)
        return power, multiply(square, square), rest // 2

    start = (jnp.eye(matrix.shape[-1], dtype=matrix.dtype), matrix, p)
    return lax.while_loop(lambda carry: carry[2] > 0, body, start)[0]


def _square_matrix(name: str, matrix: jax.typing.ArrayLike) -> tuple[jax.Array, jnp.dtype]:
    """The matrix in the dtype to compute in, and the dtype of the results."""
    array = jnp.asarray(matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise ValueError(
            message(
                f"{name}: matrix must have shape (n, n), got {array.shape}",
                fix="for a stack of matrices use jax.vmap",
            )
        )
    result_dtype = array.dtype if jnp.issubdtype(array.dtype, jnp.inexact) else jnp.dtype(jnp.float32)
    return array.astype(jnp.promote_types(result_dtype, jnp.float32)), result_dtype


def _positive_integer(p: Scalar) -> int | jax.Array:
    if isinstance(p, jax.Array):
        return p
    if int(p) != p or p < 1:
        raise ValueError(
            message(
                f"matrix_inverse_pth_root: p must be a positive integer, got {p}",
                fix="for other exponents take an integer power of a root, or use jnp.linalg.eigh",
            )
        )
    return int(p)
