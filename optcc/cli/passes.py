"""Running passes for the command line: print, verify and time each one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException

from optcc.dialect import context
from optcc.errors import OptccError, message
from optcc.passes import Stage, run_passes


class PassError(OptccError):
    """A pass that failed, or that made an invalid module."""


@dataclass(frozen=True)
class PassOptions:
    """What to do after every pass."""

    verify_each: bool = False
    print_each: bool = False
    time_each: bool = False

    @property
    def any(self) -> bool:
        """True if there is anything to do."""
        return self.verify_each or self.print_each or self.time_each


def run(module: ModuleOp, passes: Sequence[ModulePass], options: PassOptions) -> None:
    """Run passes on a module, in place. Raises PassError."""
    stages: list[tuple[str, float]] = []

    def after(stage: Stage) -> None:
        stages.append((stage.name, stage.seconds))
        if options.print_each:
            print_stage(stage.name, stage.module)

    try:
        run_passes(module, passes, context(), verify_each=options.verify_each, after_each=after)
    except DiagnosticException as error:
        running = passes[len(stages)].name
        raise PassError(message(str(error).strip(), f"pass {len(stages) + 1} of {len(passes)}, {running!r}")) from None
    if options.time_each:
        print_times(stages)


def print_stage(name: str, module: ModuleOp) -> None:
    """Print the module after a pass to standard error."""
    click.echo(f"// -----// IR after {name} //----- //\n{module!s}\n", err=True)


def print_times(stages: Sequence[tuple[str, float]]) -> None:
    """Print the time of every pass to standard error."""
    from rich.table import Table

    from optcc.cli.console import error_console

    total = sum(seconds for _, seconds in stages)
    table = Table("pass", "ms", "%", box=None, pad_edge=False)
    for name, seconds in stages:
        table.add_row(name, f"{1e3 * seconds:.2f}", f"{100 * seconds / total:.0f}" if total else "")
    table.add_row("total", f"{1e3 * total:.2f}", "")
    for column in table.columns[1:]:
        column.justify = "right"
    error_console().print(table)
