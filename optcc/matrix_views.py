"""Weights as batches of matrices: which axes are rows, which are columns, and which number the matrices.

It imports no compiler: the names that users see are made when `optcc` is imported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from optcc.errors import did_you_mean, message

Preconditioning = Literal["frobenius", "spectral", "aol", "schatten"]
PRECONDITIONINGS = ("frobenius", "spectral", "aol", "schatten")


class MuonDimensionNumbers(NamedTuple):
    """Which axes of a weight are the rows of a matrix, reduced in a product, and which are its columns, the output.

    Each is an axis or a sequence of axes, which are flattened in that order. All other axes number matrices.
    """

    reduction_axis: Sequence[int] | int = 0
    output_axis: Sequence[int] | int = 1


class MatrixView(NamedTuple):
    """How a weight is a batch of matrices: the axes that number them, are rows and are columns; how many of each."""

    axes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
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
        return cls((batch, rows, columns), *sizes)

    @property
    def wide(self) -> tuple[tuple[int, ...], int, int]:
        """The order of the axes in which no matrix has more rows than columns, and its rows and columns."""
        batch, rows, columns = self.axes
        if self.rows > self.columns:
            return (*batch, *columns, *rows), self.columns, self.rows
        return (*batch, *rows, *columns), self.rows, self.columns


def check_preconditioning(name: str) -> None:
    """Raises ValueError for an unknown preconditioning."""
    if name not in PRECONDITIONINGS:
        fix = did_you_mean(name, PRECONDITIONINGS) or f"one of {', '.join(PRECONDITIONINGS)}"
        raise ValueError(message(f"Unknown preconditioning {name}", "muon", fix))
