"""Least squares with unknowns that are not negative."""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from optcc.errors import message

_Iterate: TypeAlias = tuple[jax.Array, jax.Array, jax.Array]


def nnls(A: jax.Array, b: jax.Array, iters: int, unroll: int | bool = 1, L: ArrayLike | None = None) -> jax.Array:
    """The ``x >= 0`` that makes ``|A x - b|`` least, by accelerated projected gradients.

    With the gradient ``A'A p - A'b`` and momentum from the last two iterates::

        x_new = max(0, p - (A'A p - A'b) / L)
        c_new = (1 + sqrt(1 + 4 * c**2)) / 2
        p     = x_new + (c - 1) / c_new * (x_new - x)

    Args:
      A: real matrix ``[m, n]``.
      b: real vector ``[m]``, or one for each column, ``[m, k]``.
      iters: number of iterations. The error of the squares falls with its square, and geometrically near the end.
      unroll: how many iterations are in one body of the loop, as in `jax.lax.scan`.
      L: upper bound of the largest eigenvalue of ``A'A``; None takes the smaller of two norms of that matrix.

    Returns:
      Array ``[n]`` or ``[n, k]``, of the dtype that ``A`` and ``b`` promote to.

    Raises:
      ValueError: the shapes do not fit.

    Reference: Beck and Teboulle, *A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse Problems*, 2009,
    section 4.
    """
    if A.ndim != 2 or b.ndim not in (1, 2) or A.shape[:1] != b.shape[:1]:
        raise ValueError(
            message(f"nnls: A and b have the shapes {A.shape} and {b.shape}", fix="pass [m, n] and [m] or [m, k]")
        )
    gram, moment = A.T @ A, A.T @ b
    bound = _largest_eigenvalue_bound(gram) if L is None else jnp.asarray(L)
    # A matrix of zeros has nothing to fit: any step will do.
    bound = jnp.where(bound == 0, jnp.ones_like(bound), bound)

    def iterate(carry: _Iterate, _: None) -> tuple[_Iterate, None]:
        x, p, c = carry
        new = jnp.maximum((p - (gram @ p - moment) / bound).astype(x.dtype), 0)
        next_c = (1 + jnp.sqrt(1 + 4 * c**2)) / 2
        return (new, new + ((c - 1) / next_c).astype(x.dtype) * (new - x), next_c), None

    start = jnp.zeros_like(moment)
    (x, _, _), _ = lax.scan(iterate, (start, start, jnp.ones((), jnp.float32)), length=iters, unroll=unroll)
    return x


def _largest_eigenvalue_bound(gram: jax.Array) -> jax.Array:
    """The root of the sum of squares, or the largest sum of absolute values of a column: both bound all eigenvalues."""
    column_sums = jnp.sum(jnp.abs(gram), axis=0)
    return jnp.minimum(jnp.sqrt(jnp.sum(gram * gram)), jnp.max(column_sums, initial=0))
