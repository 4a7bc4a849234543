"""The table in docs/sweeps.md: `python -m tests.sweeps_table` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optcc
from optcc.expressions import parse_optimizer
from optcc.params import load_params
from optcc.report import cost_of
from optcc.runtime.optimizer import CompiledOptimizer
from tests.table import LISTED, Row

FILE = Path(__file__).parents[1] / "docs" / "sweeps.md"

HEADER = """\
# Sweeps of every optimizer

Measured on the IR of `step`, for GPT-2's 148 float32 leaves (124,439,808 parameters). A sweep is one pass over memory;
its bytes are the arrays that it reads and writes, once each. The floor is every array of the step touched once. A state
that is small beside the parameters, such as adafactor's, adds less than 0.1. `python -m tests.sweeps_table` writes this
file, and a test compares it. Any row in full: `optcc compile "EXPR" --params gpt2 --emit sweeps`.

| expression | sweeps | bytes/parameter | floor | above the floor because |
| --- | --- | --- | --- | --- |
"""


def compiled(row: Row, params: Any) -> CompiledOptimizer:
    """The expression of a row for these parameters; for lookahead, fast and slow ones."""
    return optcc.compile(parse_optimizer(row.listed), row.like(params), extra_args=row.extra(0))


def line(row: Row, before: Row | None, params: Any) -> str:
    """One line of the table, after the one of another row."""
    cost = cost_of(compiled(row, params).staged.program.step.op)
    moved, floor = (f"{cost.per_parameter(n):.1f}" for n in (cost.bytes, cost.floor))
    assert bool(row.why) == (float(moved) > float(floor)), f"{row.listed}: {moved} bytes, floor {floor}"
    why = "as above" if before and row.why and row.why == before.why else row.why
    return f"| `{row.listed}` | {len(cost.sweeps)} | {moved} | {floor} | {why} |"


def table() -> str:
    """The whole file."""
    params = load_params("gpt2")
    return (
        HEADER
        + "\n".join(line(row, before, params) for row, before in zip(LISTED, [None, *LISTED[:-1]], strict=True))
        + "\n"
    )


if __name__ == "__main__":
    FILE.write_text(table())
