"""What is different between two modules, but for the names of values, as a unified diff of their texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from io import StringIO

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.printer import Printer

from optcc.passes.analysis.matching import match_values

WIDTH = 120
"""Columns of a line; a longer one is broken behind commas, so that a change in it does not show the whole of it."""


def diff_modules(old: ModuleOp, new: ModuleOp, old_name: str, new_name: str, *, debuginfo: bool = False) -> list[str]:
    """The lines of a unified diff, none if the modules are equal but for the names of values.

    Values that correspond (see `match_values`) have one name in both texts, which is not always the one that they have
    in the text of their module. With `debuginfo`, locations are compared, too.
    """
    partner = {b: a for a, b in match_values(old, new).items()}
    names = _Names()
    names.name_all(old, {})
    names.name_all(new, partner)
    before, after = (list(_lines(module, names.of, debuginfo)) for module in (old, new))
    hunks = list(SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes())
    header = [f"--- {old_name}", f"+++ {new_name}"] if hunks else []
    return [*header, *(line for hunk in hunks for line in _hunk(hunk, before, after))]


def _hunk(hunk: Sequence[tuple[str, int, int, int, int]], before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """The lines of a hunk; those that are equal as the second text has them."""
    (_, i, _, j, _), (_, _, k, _, m) = hunk[0], hunk[-1]
    yield f"@@ -{i + 1},{k - i} +{j + 1},{m - j} @@"
    for tag, i, k, j, m in hunk:
        if tag == "equal":
            yield from (f" {line}" for line in after[j:m])
            continue
        yield from (f"-{line}" for line in before[i:k])
        yield from (f"+{line}" for line in after[j:m])


class _Names:
    """Names for the values of two modules, unique within both functions of one name."""

    def __init__(self) -> None:
        self.of: dict[SSAValue, str] = {}
        self._used: dict[object, set[str]] = {}
        self._numbers: dict[object, int] = {}

    def name_all(self, module: ModuleOp, partner: Mapping[SSAValue, SSAValue]) -> None:
        """Name every value of a module as its partner, or else by its hint, or by a number."""
        for top in module.ops:
            scope = top.properties.get("sym_name")
            for value in _values(top):
                other = partner.get(value)
                self.of[value] = self.of[other] if other is not None else self._new(scope, value.name_hint)

    def _new(self, scope: object, hint: str | None) -> str:
        used = self._used.setdefault(scope, set())
        name, number = hint, 0
        while name is None or name in used:
            if hint is None:
                number = self._numbers.get(scope, 0)
                self._numbers[scope] = number + 1
                name = str(number)
            else:
                number += 1
                name = f"{hint}_{number}"
        used.add(name)
        return name


def _values(top: Operation) -> Iterator[SSAValue]:
    """The values of an op and of all ops in it, in the order in which they are printed."""
    for op in top.walk():
        yield from op.results
        for region in op.regions:
            for block in region.blocks:
                yield from block.args


@dataclass(eq=False, repr=False)
class _NamingPrinter(Printer):
    """A printer that is told the names of values."""

    names: Mapping[SSAValue, str] = field(default_factory=dict[SSAValue, str])

    def print_ssa_value(self, value: SSAValue) -> str:
        name = self.names[value]
        self.print_string(f"%{name}")
        return name


class _Line(str):
    """A line that is equal to others of another indentation, as ops get it that are put into a region."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self.strip() == other.strip()

    def __hash__(self) -> int:
        return hash(self.strip())


def _lines(module: ModuleOp, names: Mapping[SSAValue, str], debuginfo: bool) -> Iterator[str]:
    stream = StringIO()
    _NamingPrinter(stream, print_debuginfo=debuginfo, names=names).print_op(module)
    for line in stream.getvalue().splitlines():
        yield from map(_Line, _broken(line) if len(line) > WIDTH else (line,))


def _broken(line: str) -> Iterator[str]:
    """A line in several, one behind each comma that is in one pair of brackets."""
    start = depth = 0
    quoted = False
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    for i, c in enumerate(line):
        if c == '"' and line[i - 1] != "\\":
            quoted = not quoted
        elif quoted or line[i - 1 : i + 1] == "->":
            continue
        elif c in "([{<":
            depth += 1
        elif c in ")]}>":
            depth -= 1
        elif c == "," and depth == 1:
            yield f"{indent if start else ''}{line[start : i + 1].lstrip() if start else line[: i + 1]}"
            start = i + 1
    yield f"{indent if start else ''}{line[start:].lstrip() if start else line}"
