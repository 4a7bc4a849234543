"""From a built program to sweeps: the pipeline, with every stage kept as text on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from optcc.dialect import context
from optcc.errors import did_you_mean, message
from optcc.passes import Stage, run_passes
from optcc.program.program import Program
from optcc.runtime.collector import collector_paused

BUILT = "optim"
"""The stage before any pass."""
LAST = "sweeps"
"""The stage after the last pass."""


@dataclass(frozen=True)
class Staged:
    """A program after a pipeline, with the module of every stage and the seconds each pass took."""

    program: Program
    modules: tuple[tuple[str, ModuleOp], ...]
    seconds: tuple[tuple[str, float], ...]

    def module(self, stage: str) -> ModuleOp:
        """The module of a stage: `optim`, the name of a pass (its last run), a run of it as `cse#2`, or `sweeps`.

        Raises ValueError for another name, with the nearest ones.
        """
        stage, _, run = stage.partition("#")
        found = [module for name, module in self.modules if name == stage]
        if run:
            if not run.isdecimal() or not 1 <= int(run) <= len(found):
                raise ValueError(message(f"there is no run {run!r} of {stage!r}", fix=f"it has {len(found)} runs"))
            return found[int(run) - 1]
        if not found:
            names = list(dict.fromkeys(name for name, _ in self.modules))
            raise ValueError(message(f"unknown stage {stage!r}", fix=did_you_mean(stage, names) or f"one of {names}"))
        return found[-1]


@collector_paused()
def run_pipeline(program: Program, passes: Sequence[ModulePass], *, keep: bool = True) -> Staged:
    """Run passes on a copy of a program's module; with `keep`, a copy of every stage is kept."""
    module = program.module.clone()
    modules: list[tuple[str, ModuleOp]] = [(BUILT, program.module)]
    seconds: list[tuple[str, float]] = []

    def after(stage: Stage) -> None:
        seconds.append((stage.name, stage.seconds))
        if keep:
            modules.append((stage.name, stage.module.clone()))

    run_passes(module, passes, context(), after_each=after)
    modules.append((LAST, module))
    return Staged(program.with_module(module), tuple(modules), tuple(seconds))
