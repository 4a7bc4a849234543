"""What a benchmark measured, as data and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

LIMIT = "memory limit"
"""The contender that is a C loop over the same streams."""


@dataclass(frozen=True)
class Row:
    """One contender: milliseconds of a step, the median and the quartiles, and its times over the first contender's.

    `ratio` is the median of the ratios within a round, None for the first contender. `compile_seconds` run from the
    chain to the executable; they and `temporaries`, in bytes, are None where there is no XLA executable.
    """

    contender: str
    milliseconds: float
    low: float
    high: float
    ratio: float | None
    compile_seconds: float | None
    temporaries: int | None


@dataclass(frozen=True)
class Result:
    """The rows of one run; `moved` are the bytes of optcc's sweeps, `rounds` how often every contender had its turn."""

    expression: str
    params: str
    leaves: int
    parameters: int
    moved: int
    rounds: int
    turn: int
    device: str
    cores: int
    rows: tuple[Row, ...]
    skipped: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def limit(self) -> float | None:
        """Milliseconds of the memory limit, None where it was not measured."""
        return next((row.milliseconds for row in self.rows if row.contender == LIMIT), None)

    def gigabytes_a_second(self, row: Row) -> float:
        """The bytes of optcc's sweeps over the time of a row."""
        return self.moved / row.milliseconds / 1e6

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)

    def to_json(self, *, indent: int | None = 1) -> str:
        """`as_dict` as JSON."""
        return json.dumps(self.as_dict(), indent=indent)

    def __str__(self) -> str:
        table = Table("contender", "ms/step", "quartiles", "ratio", "of limit", "compile s", "temp MB", box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            table.add_row(
                row.contender,
                f"{row.milliseconds:.3f}",
                f"{row.low:.3f} to {row.high:.3f}",
                "1" if row.ratio is None else f"{row.ratio:.3g}",
                "" if self.limit is None else f"{self.limit / row.milliseconds:.2f}",
                "" if row.compile_seconds is None else f"{row.compile_seconds:.2f}",
                "" if row.temporaries is None else f"{row.temporaries / 1e6:.2f}",
            )
        out = StringIO()
        Console(file=out, width=120, color_system=None, markup=False, highlight=False).print(table)
        first = self.rows[0]
        lines = [
            f"{self.expression} on {self.params}: {self.parameters:,} parameters in {self.leaves:,} leaves",
            *(line.rstrip() for line in out.getvalue().rstrip().splitlines()),
            *(f"not timed: {name}: {why}" for name, why in self.skipped.items()),
            f"{first.contender} moves {self.moved / 1e6:,.1f} MB a step, {self.gigabytes_a_second(first):.1f} GB/s; "
            f"medians of {self.rounds} rounds of {self.turn} steps, all contenders in turn",
            f"{self.device}, {self.cores} cores, " + ", ".join(f"{k} {v}" for k, v in self.versions.items()),
        ]
        return "\n".join(lines) + "\n"
