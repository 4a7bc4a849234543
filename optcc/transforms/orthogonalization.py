"""Orthogonalization of matrices by Newton-Schulz iterations, as a formula on batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from optcc.formula.matrices import Stacking, matmul, squares
from optcc.formula.values import Scalar, Tree

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.matrix_views import MatrixView, Preconditioning

SMALLEST = 1e-8
"""What a rescaling within the first iteration is raised to."""

Row = tuple[Scalar, Scalar, Scalar]
"""The coefficients a, b and c of an iteration."""


def orthogonalize(
    b: Builder,
    tree: Tree,
    views: Sequence[MatrixView],
    rows: Sequence[Row],
    preconditioning: Preconditioning,
    eps: Scalar,
    gram_from: float | None = None,
) -> Tree:
    """Bring the singular values of all matrices of a tree near 1, and keep their singular vectors.

    Matrices of one shape run as one batch, of no more rows than columns. After a division by the norm, ``X <- a X + (b
    A + c A A) X`` with ``A = X X^T``, for each row ``(a, b, c)``. The norm is Frobenius's or the largest singular
    value; ``"aol"`` and ``"schatten"`` rescale by the rows or the norm of the first A instead. Source: Jordan et al.
    2024; Boissin et al. 2025 for ``"aol"``. There is no loop in the IR: a step has few iterations, and their number is
    fixed when it is built. Matrices whose sides have at least the ratio ``gram_from`` are iterated by `_by_grams`.
    """
    ratios = [view.wide[2] / max(1, view.wide[1]) for view in views]
    selected = [gram_from is not None and ratio >= gram_from for ratio in ratios]
    if all(selected) or not any(selected):
        return _orthogonalized(b, tree, views, rows, preconditioning, eps, by_grams=all(selected) and bool(views))
    sides = [
        _orthogonalized(
            b,
            part,
            [v for v, on in zip(views, selected, strict=True) if on is side],
            rows,
            preconditioning,
            eps,
            by_grams=side,
        )
        for side, part in zip((True, False), b.split(tree, selected), strict=True)
    ]
    return b.join(sides[0], sides[1], tree.leaf_set)


def _orthogonalized(
    b: Builder,
    tree: Tree,
    views: Sequence[MatrixView],
    rows: Sequence[Row],
    preconditioning: Preconditioning,
    eps: Scalar,
    *,
    by_grams: bool,
) -> Tree:
    """`orthogonalize`, all matrices in one way."""
    if preconditioning == "frobenius":
        # Before the leaves are stacked: so the squares are summed up in the sweep that makes them.
        numbering = {i: view.axes[0] for i, view in zip(tree.leaf_set.leaves, views, strict=True)}
        matrix = b.axes("matrix", tree.leaf_set, numbering)
        tree = tree / (b.sqrt(b.reduce_leaves(b.square(tree), extent=matrix)) + eps)
    stacking = Stacking.of(b, tree, views)
    x = stacking.stack(b, tree)
    if preconditioning == "spectral":
        x = x / (_spectral_norm(b, x) + eps)
    rest = list(rows)
    if rows and preconditioning in ("aol", "schatten"):
        x, a = _rescaled(b, x, gram(b, x), preconditioning)
        x = _iterated(b, x, a, rest.pop(0))
    if by_grams:
        x = _by_grams(b, x, rest)
    else:
        for row in rest:
            x = _iterated(b, x, gram(b, x), row)
    return stacking.unstack(b, x)


def gram(b: Builder, x: Tree) -> Tree:
    """The product of each matrix with its own transpose."""
    return matmul(b, x, x, squares(b, x.leaf_set), transposed=(False, True))


def _iterated(b: Builder, x: Tree, a: Tree, row: Row) -> Tree:
    """``a X + (b A + c A A) X``."""
    polynomial = matmul(b, a, a, a.leaf_set, plus=(row[2], row[1], a))
    return matmul(b, polynomial, x, x.leaf_set, plus=(b.number(1.0, jnp.float32), row[0], x))


def _by_grams(b: Builder, x: Tree, rows: Sequence[Row]) -> Tree:
    """All iterations, on the small products ``A = X X^T`` alone.

    An iteration multiplies X by ``Z + a`` with ``Z = b A + c A A``, and A by it from both sides. So the factors are
    gathered as ``Q + q``, and X, of long rows, is multiplied seldom. Rounding errors of A grow, so A is made from X
    anew before the iterations 2, 5, 8, .... Source: Gram Newton-Schulz (Dao AI Lab, 2026).
    """
    one = b.number(1.0, jnp.float32)
    chunks = [rows[:2], *(rows[i : i + 3] for i in range(2, len(rows), 3))]
    for chunk in filter(None, chunks):
        a = gram(b, x)
        factor: Tree | None = None
        shift: Any = one
        for i, row in enumerate(chunk):
            z = matmul(b, a, a, a.leaf_set, plus=(row[2], row[1], a))
            if i < len(chunk) - 1:
                right = matmul(b, a, z, a.leaf_set, plus=(one, row[0], a))
                a = matmul(b, z, right, a.leaf_set, plus=(one, row[0], right))
            factor = (
                z if factor is None else matmul(b, z, factor, a.leaf_set, plus=(one, one, shift * z + row[0] * factor))
            )
            shift = row[0] * shift
        assert factor is not None
        x = matmul(b, factor, x, x.leaf_set, plus=(one, shift, x))
    return x


def _rescaled(b: Builder, x: Tree, a: Tree, preconditioning: Preconditioning) -> tuple[Tree, Tree]:
    """X divided by the root of a bound of the norm of A, and the A of that X."""
    if preconditioning == "schatten":
        size = b.sqrt(b.reduce_leaves(b.square(a), extent=b.axes("matrix", a.leaf_set, _number)))
        scale = b.rsqrt(b.maximum(size, SMALLEST))
        of_x = b.reshape(scale, x.leaf_set, b.axes("matrix", x.leaf_set, _number))
        return x * of_x, a * (scale * scale)
    by_row = b.axes("row", a.leaf_set, lambda shape: [0, 1])
    scale = b.rsqrt(b.maximum(b.reduce_leaves(b.abs(a), extent=by_row), SMALLEST))
    of_x = b.reshape(scale, x.leaf_set, b.axes("row", x.leaf_set, lambda shape: [0, 1]))
    by_column = b.reshape(scale, a.leaf_set, b.axes("column", a.leaf_set, lambda shape: [0, 2]))
    return x * of_x, a * scale * by_column


def _spectral_norm(b: Builder, x: Tree) -> Tree:
    """The largest singular value of each matrix, on the axis extent `matrix`; an opaque call."""

    def call(batches: Sequence[Any]) -> list[list[Any]]:
        return [[jnp.linalg.norm(m, ord=2, axis=(1, 2), keepdims=True) for m in batches]]

    norms = b.leaf_sets.reshaped(x.leaf_set, "norms", lambda shape: (shape[0], 1, 1))
    found = b.call("spectral_norm", call, [x], [(norms, x.dtypes)], "singular values are not in the dialect")[0]
    return b.reshape(found, x.leaf_set, b.axes("matrix", x.leaf_set, _number))


def _number(shape: tuple[int, ...]) -> Sequence[int]:
    """The axis that numbers the matrices of a batch."""
    return [0]
