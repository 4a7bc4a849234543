"""What the explorer shows, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from optcc.report import Report
from optcc.verify import Check


@dataclass(frozen=True)
class Location:
    """A line of a formula that ops come from: where in the chain it ran, its file, its number and its text."""

    scope: str
    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Line:
    """A line of IR, or of a diff of it; `location` is an index into the locations, -1 for none."""

    text: str
    location: int


@dataclass(frozen=True)
class Pass:
    """A run of a pass: its label, what it took, and the lines of the diff, none if it changed nothing."""

    name: str
    milliseconds: float
    diff: tuple[Line, ...]


@dataclass(frozen=True)
class Sweep:
    """A sweep: its first line and the one behind its last among the lines of the final module, the arrays that it reads
    and writes, the earlier sweeps that it waits for, and the names of its kernels."""

    begin: int
    end: int
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    after: tuple[int, ...]
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class Kernel:
    """A native kernel: its name and its LLVM IR, as generated."""

    name: str
    text: str


@dataclass(frozen=True)
class Exploration:
    """A compiled optimizer from formula to kernel. `built` and `final` are the module before and after all passes;
    `numerics` is how far each leaf of each backend is from the interpreter, empty if that was not asked for."""

    command: str
    expression: str
    params: str
    locations: tuple[Location, ...]
    built: tuple[Line, ...]
    passes: tuple[Pass, ...]
    final: tuple[Line, ...]
    sweeps: tuple[Sweep, ...]
    kernels: tuple[Kernel, ...]
    report: Report
    numerics: tuple[Check, ...] = ()

    def as_dict(self) -> Mapping[str, Any]:
        """All fields, for JSON."""
        rest = {name: value for name, value in vars(self).items() if name != "report"}
        plain = {name: _plain(value) for name, value in rest.items()}
        return plain | {"report": self.report.as_dict()}

    def to_json(self, *, indent: int | None = None) -> str:
        """`as_dict` as JSON."""
        return json.dumps(self.as_dict(), indent=indent)


def _plain(value: object) -> object:
    """Dataclasses in a tuple as dictionaries."""
    return [asdict(one) for one in value] if isinstance(value, tuple) else value
