"""What a verification found, as data and as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

MOST_SHOWN = 8
"""How many leaves that disagree are shown one by one."""


@dataclass(frozen=True)
class Check:
    """One leaf of one contender on one kind of input: the largest difference from the reference over all steps.

    `ulps` is in units in the last place of the larger value, `excess` the largest error over what the numerics contract
    allows. `step`, `index`, `got` and `expected` are of the element with the largest error; `origin` is the op that
    makes the leaf.
    """

    contender: str
    inputs: str
    leaf: str
    dtype: str
    origin: str
    step: int
    ulps: float
    excess: float
    index: tuple[int, ...]
    got: str
    expected: str

    @property
    def agrees(self) -> bool:
        """Whether the leaf is within what is allowed."""
        return self.excess <= 1


@dataclass(frozen=True)
class Verification:
    """The checks of a compiled optimizer, what was left out and why, and what it ran on."""

    checks: tuple[Check, ...]
    skipped: Mapping[str, str]
    steps: int
    device: str
    versions: Mapping[str, str]

    @property
    def failures(self) -> tuple[Check, ...]:
        """The leaves that disagree."""
        return tuple(check for check in self.checks if not check.agrees)

    @property
    def agrees(self) -> bool:
        """Whether all contenders agree with the reference."""
        return not self.failures

    def __bool__(self) -> bool:
        return self.agrees

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON; an infinite difference is the string ``"inf"``."""
        checks = [{**asdict(c), "index": list(c.index), "agrees": c.agrees} for c in self.checks]
        for check in checks:
            for name in ("ulps", "excess"):
                if not math.isfinite(check[name]):
                    check[name] = str(check[name])
        own = {"agrees": self.agrees, "steps": self.steps, "device": self.device, "versions": dict(self.versions)}
        return {**own, "skipped": dict(self.skipped), "checks": checks}

    def to_json(self, *, indent: int | None = 1) -> str:
        """`as_dict` as JSON."""
        return json.dumps(self.as_dict(), indent=indent)

    def __str__(self) -> str:
        lines = [_table(self.checks)]
        lines += [f"not checked: {name}: {why}" for name, why in self.skipped.items()]
        for check in self.failures[:MOST_SHOWN]:
            lines += ["", *_failure(check)]
        if len(self.failures) > MOST_SHOWN:
            lines += ["", f"{len(self.failures) - MOST_SHOWN} more leaves disagree"]
        found = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        verdict = "all agree with the interpreter" if self.agrees else f"{len(self.failures)} leaves disagree"
        return "\n".join([*lines, "", f"{verdict}: {self.steps} steps on {self.device} ({found})"]) + "\n"


def _failure(check: Check) -> list[str]:
    place = f"[{', '.join(map(str, check.index))}]" if check.index else ""
    beyond = f"{check.ulps:.4g} ulps, {check.excess:.3g} times what is allowed"
    return [
        f"{check.contender} disagrees on {check.leaf}{place} at step {check.step}, {check.inputs} inputs",
        f"  got {check.got}, expected {check.expected}: {beyond}",
        f"  made by: {check.origin}",
    ]


def _table(checks: Sequence[Check]) -> str:
    """For each contender and kind of input the leaf that is the furthest from the reference."""
    table = Table("contender", "inputs", "leaves", "largest ulps", "of allowed", "furthest leaf", box=None)
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        groups.setdefault((check.contender, check.inputs), []).append(check)
    for (contender, inputs), group in groups.items():
        worst = max(group, key=lambda check: check.excess)
        ulps = max(check.ulps for check in group)
        leaf = worst.leaf if worst.excess else "-"
        table.add_row(contender, inputs, str(len(group)), f"{ulps:.4g}", f"{worst.excess:.2g}", leaf)
    out = StringIO()
    Console(file=out, width=140, color_system=None, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())
