"""Orthogonalization of matrices by Newton-Schulz iterations, batched by shape. Plain JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from optcc.errors import did_you_mean, message

Preconditioning = Literal["frobenius", "spectral", "aol", "schatten"]
PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")
SMALLEST = 1e-8
"""What a rescaling within the first iteration is raised to."""


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a weight are the rows of a matrix, reduced in a product, and which are its columns, the output.

    Each is an axis or a sequence of axes, which are flattened in that order. All other axes number matrices.
    """

    reduction_axis: Sequence[int] | int = 0
    output_axis: Sequence[int] | int = 1


class MatrixView(NamedTuple):
    """How a weight is a batch of matrices: the order of its axes, and how many matrices, rows and columns."""

    order: tuple[int, ...]
    batch: int
    rows: int
    columns: int

    @classmethod
    def of(cls, shape: tuple[int, ...], numbers: MuonDimensionNumbers, where: str) -> MatrixView:
        """The view of a shape. Raises ValueError for a rank below 2, and for an axis that is both."""
        rank = len(shape)
        if rank < 2:
            what = f"Muon optimized parameters must have rank >= 2, got x.ndim={rank}"
            raise ValueError(message(what, where, "leave the leaf to Adam"))
        rows, columns = (tuple(a % rank for a in ((axis,) if isinstance(axis, int) else axis)) for axis in numbers)
        if set(rows) & set(columns):
            what = f"reduction axes and output axes must be disjoint, got {rows} and {columns} of shape {shape}"
            raise ValueError(message(what, where, "give each axis to one of them, or to none"))
        batch = tuple(a for a in range(rank) if a not in (*rows, *columns))
        sizes = (math.prod(shape[a] for a in axes) for axes in (batch, rows, columns))
        return cls((*batch, *rows, *columns), *sizes)

    def matrices(self, x: jax.Array) -> jax.Array:
        """The weight as ``[batch, short side, long side]``."""
        flat = x.transpose(self.order).reshape(self.batch, self.rows, self.columns)
        return flat.swapaxes(1, 2) if self.rows > self.columns else flat

    def weight(self, matrices: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """The inverse of `matrices`."""
        flat = matrices.swapaxes(1, 2) if self.rows > self.columns else matrices
        inverse = sorted(range(len(shape)), key=lambda i: self.order[i])
        return flat.reshape([shape[a] for a in self.order]).transpose(inverse)


def orthogonalize(
    weights: Sequence[jax.Array],
    views: Sequence[MatrixView],
    coefficients: jax.Array,
    steps: int,
    preconditioning: Preconditioning,
    eps: jax.typing.ArrayLike,
) -> list[jax.Array]:
    """Newton-Schulz iterations for all weights; matrices of one shape and dtype run as one batch.

    Narrow dtypes are computed in float32. ``coefficients`` has the shape ``[3]`` or ``[n, 3]``, as in `newton_schulz`.
    """
    groups: dict[tuple[int, int, jnp.dtype], list[int]] = {}
    for i, (x, view) in enumerate(zip(weights, views, strict=True)):
        short, long = sorted((view.rows, view.columns))
        groups.setdefault((short, long, x.dtype), []).append(i)
    found: dict[int, jax.Array] = {}
    for (_, _, dtype), members in groups.items():
        wide = jnp.promote_types(dtype, jnp.float32)
        batch = jnp.concatenate([views[i].matrices(weights[i]) for i in members]).astype(wide)
        new = newton_schulz(batch, coefficients.astype(wide), steps, preconditioning, eps).astype(dtype)
        start = 0
        for i in members:
            found[i] = views[i].weight(new[start : start + views[i].batch], weights[i].shape)
            start += views[i].batch
    return [found[i] for i in range(len(weights))]


def newton_schulz(
    x: jax.Array,
    coefficients: jax.Array,
    steps: int,
    preconditioning: Preconditioning,
    eps: jax.typing.ArrayLike,
) -> jax.Array:
    """Bring the singular values of matrices ``[batch, m, n]``, m <= n, near 1, and keep their singular vectors.

    After a division by the norm, ``X <- a X + (b A + c A A) X`` with ``A = X X^T`` in each iteration. There are
    ``steps`` of them with one row ``(a, b, c)`` of coefficients, or one for each of several rows. The norm is
    Frobenius's or the largest singular value; ``"aol"`` and ``"schatten"`` rescale by the rows or the norm of the first
    A instead. Source: Jordan et al. 2024; Boissin et al. 2025 for ``"aol"``.
    """
    if preconditioning == "frobenius":
        x = x / (jnp.sqrt(jnp.sum(jnp.square(x), axis=(1, 2), keepdims=True)) + eps)
    elif preconditioning == "spectral":
        x = x / (jnp.linalg.norm(x, ord=2, axis=(1, 2), keepdims=True) + eps)
    rows = jnp.broadcast_to(coefficients, (steps, 3)) if coefficients.ndim == 1 else coefficients
    if preconditioning in ("aol", "schatten") and rows.shape[0]:
        a = x @ x.swapaxes(1, 2)
        if preconditioning == "aol":
            size = jnp.sum(jnp.abs(a), axis=2, keepdims=True)
        else:
            size = jnp.sqrt(jnp.sum(jnp.square(a), axis=(1, 2), keepdims=True))
        scale = jax.lax.rsqrt(jnp.maximum(size, SMALLEST))
        x, a = x * scale, a * scale * scale.swapaxes(1, 2)
        x, rows = _polynomial(x, a, rows[0]), rows[1:]
    found, _ = jax.lax.scan(lambda x, row: (_polynomial(x, x @ x.swapaxes(1, 2), row), None), x, rows)
    return found


def _polynomial(x: jax.Array, a: jax.Array, row: jax.Array) -> jax.Array:
    return row[0] * x + (row[1] * a + (row[2] * a) @ a) @ x


def check_preconditioning(name: str) -> None:
    """Raises ValueError for an unknown preconditioning."""
    if name not in PRECONDITIONINGS:
        fix = did_you_mean(name, PRECONDITIONINGS) or f"one of {', '.join(PRECONDITIONINGS)}"
        raise ValueError(message(f"Unknown preconditioning {name}", "muon", fix))
