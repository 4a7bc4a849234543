"""The table of chains: one row for each optimizer, transformation and wrapper, and for each way to use it.

Parity, contracts, structure, native kernels, packed layouts, random chains and docs/sweeps.md read it.
"""

from __future__ import annotations

from tests.table import (
    branches,
    contrib,
    newer_optimizers,
    optimizers,
    structured,
    transformations,
    with_extra,
    wrappers,
)
from tests.table.row import Row

__all__ = ["BY_NAME", "LISTED", "TABLE", "WITH_EXTRA", "Row"]

TABLE = [
    *transformations.ROWS,
    *optimizers.ROWS,
    *newer_optimizers.ROWS,
    *contrib.ROWS,
    *wrappers.ROWS,
    *structured.ROWS,
    *branches.ROWS,
]
WITH_EXTRA = with_extra.ROWS
"""Those whose update needs extra arguments."""
BY_NAME = {row.name: row for row in TABLE}
LISTED = sorted(
    (row for row in [*TABLE, *WITH_EXTRA] if row.listed), key=lambda row: (not row.is_optimizer, row.listed.lower())
)
"""The rows of docs/sweeps.md, optimizers first."""
