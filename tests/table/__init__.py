"""The table of chains: one row for each optimizer, transformation and wrapper, and for each way to use it.

Parity, contracts, structure, native kernels, packed layouts, random chains and docs/sweeps.md read it.
"""

from __future__ import annotations

from tests.table import branches, optimizers, structured, transformations, wrappers
from tests.table.row import Row

__all__ = ["BY_NAME", "LISTED", "TABLE", "Row"]

TABLE = [*transformations.ROWS, *optimizers.ROWS, *wrappers.ROWS, *structured.ROWS, *branches.ROWS]
BY_NAME = {row.name: row for row in TABLE}
LISTED = sorted((row for row in TABLE if row.listed), key=lambda row: (not row.is_optimizer, row.listed.lower()))
"""The rows of docs/sweeps.md, optimizers first."""
