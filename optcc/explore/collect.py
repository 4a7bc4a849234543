"""Collecting what the explorer shows from a compiled optimizer."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from optcc.dialect import TreeType, argument_arrays, leaf_set, sweeps_of
from optcc.explore.data import Exploration, Kernel, Line, Location, Pass, Sweep
from optcc.lowering.native.calls import calls_of, streams_from_memory
from optcc.passes import runs_of
from optcc.passes.analysis.diff import diff_modules
from optcc.program.module_text import print_module
from optcc.program.program import STEP
from optcc.report import why_not

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer

_LOCATED = re.compile(r'^(.*?) loc\("((?:[^"\\]|\\.)*)"\("((?:[^"\\]|\\.)*)":(\d+):\d+\)\)$')
_NOWHERE = re.compile(r' loc\((?:unknown|"[^"]*":\d+:\d+|"[^"]*"\("[^"]*":\d+:\d+\))\)')
LONGEST = 2_000
"""Characters of a line that are kept: a leaf set of thousands of leaves is one line."""


class _Locations:
    """Numbers for the locations in texts of the IR, in the order in which they are met."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, int], int] = {}

    def line(self, text: str) -> Line:
        """A line of IR that was printed with locations, without them."""
        match = _LOCATED.match(text)
        number = -1
        if match:
            key = match[2], match[3], int(match[4])
            number = self.found.setdefault(key, len(self.found))
        text = _NOWHERE.sub("", text)
        return Line(text if len(text) <= LONGEST else f"{text[:LONGEST]} ...", number)

    def lines(self, texts: Iterable[str]) -> tuple[Line, ...]:
        """As `line`."""
        return tuple(map(self.line, texts))

    @property
    def all(self) -> tuple[Location, ...]:
        """All that were met, with the text of their lines."""
        return tuple(Location(scope, file, line, _source(file, line)) for scope, file, line in self.found)


def _source(file: str, line: int) -> str:
    package = Path(__file__).parent.parent.parent
    path = package / file if file.startswith("optcc/") else Path(file)
    return linecache.getline(str(path), line).strip()


def explore(
    compiled: CompiledOptimizer, *, command: str = "", expression: str = "", params: str = "", steps: int = 0
) -> Exploration:
    """Everything from the formulas to the kernels of a compiled optimizer.

    With `steps`, so many are taken with every backend beside the interpreter. Without, nothing is compiled by XLA.
    """
    locations = _Locations()
    staged = compiled.staged
    built, final = (locations.lines(_text(module)) for _, module in (staged.modules[0], staged.modules[-1]))
    kernels: dict[str, Kernel] = {}
    return Exploration(
        command=command,
        expression=expression,
        params=params,
        built=built,
        passes=tuple(_passes(compiled, locations)),
        final=final,
        sweeps=tuple(_sweeps(compiled, final, kernels)),
        kernels=tuple(kernels.values()),
        report=compiled.report(xla=False),
        locations=locations.all,
        numerics=compiled.verify(steps=steps).checks if steps else (),
    )


def _text(module: ModuleOp) -> list[str]:
    """The lines of a module with locations."""
    return print_module(module, debuginfo=True).rstrip().splitlines()


def _passes(compiled: CompiledOptimizer, locations: _Locations) -> Iterable[Pass]:
    """Every run of a pass with what it changed."""
    staged = compiled.staged
    modules = [module for _, module in staged.modules]
    for i, (run, (_, seconds)) in enumerate(zip(runs_of(compiled.pipeline), staged.seconds, strict=True)):
        lines = diff_modules(modules[i], modules[i + 1], "before", "after", debuginfo=True)
        yield Pass(str(run), 1e3 * seconds, locations.lines(lines[2:]))


def _sweeps(compiled: CompiledOptimizer, final: Sequence[Line], kernels: dict[str, Kernel]) -> Iterable[Sweep]:
    """The sweeps in order; their kernels are added to `kernels`."""
    function = compiled.staged.program.step.op
    sweeps = sweeps_of(function)
    names: dict[SSAValue, str] = {
        a: str(name) for a, name in zip(function.args, argument_arrays(function), strict=True)
    }
    streams = streams_from_memory(function)
    places = zip(sweeps, _ranges(final), why_not(compiled), strict=True)
    for number, (sweep, (begin, end), why) in enumerate(places):
        own: dict[str, Kernel] = {}
        for op, overwritten in zip(sweep.maps, sweep.overwritten, strict=True) if not why else ():
            for call in calls_of(op, leaf_set(op, op.leaves), overwritten, streams):
                own[call.kernel.name] = Kernel(call.kernel.name, call.kernel.source)
        kernels |= own
        reads, writes = (_arrays(values, names) for values in (sweep.operands, sweep.outs))
        yield Sweep(begin, end, reads, writes, _after(sweep, sweeps[:number]), tuple(own))


def _ranges(lines: Sequence[Line]) -> Iterable[tuple[int, int]]:
    """For each sweep of the step its first line, and the one behind its last."""
    begin, inside = -1, False
    for i, line in enumerate(lines):
        text = line.text.lstrip()
        if text.startswith("func.func"):
            inside = text.startswith(f"func.func @{STEP}(")
        elif inside and "optim.sweep " in text:
            begin = i
        elif begin >= 0 and text == "}" and _indent(line) == _indent(lines[begin]):
            yield begin, i + 1
            begin = -1


def _indent(line: Line) -> int:
    return len(line.text) - len(line.text.lstrip())


def _arrays(values: Sequence[SSAValue], names: Mapping[SSAValue, str]) -> tuple[str, ...]:
    """The names of the arrays among what a sweep takes."""
    arrays = (v for v in values if isinstance(v.type, TreeType) and v.type.has_elements)
    return tuple(dict.fromkeys(names.get(v) or v.name_hint or "an array" for v in arrays))


def _after(sweep: Operation, earlier: Sequence[Operation]) -> tuple[int, ...]:
    """The sweeps that have to be over before this one can begin: those whose results it needs."""
    found: set[int] = set()
    seen: set[Operation] = set()
    work = list(sweep.operands)
    while work:
        op = work.pop().owner
        if not isinstance(op, Operation) or op in seen:
            continue
        seen.add(op)
        if op in earlier:
            found.add(earlier.index(op))
        else:
            work += op.operands
    return tuple(sorted(found))
