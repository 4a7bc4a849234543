"""Running passes for the command line: print, verify and time each one."""

from __future__ import annotations

from collections.abc import Sequence

import click
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException

from optcc.cli.options import PassOptions
from optcc.dialect import context
from optcc.errors import OptccError, did_you_mean, message
from optcc.passes import Run, Stage, run_passes, runs_of
from optcc.program.module_text import print_module


class PassError(OptccError):
    """A pass that failed, that made an invalid module, or that is not there."""


def run(module: ModuleOp, passes: Sequence[ModulePass], options: PassOptions) -> None:
    """Run passes on a module, in place. Raises PassError."""
    runs = runs_of(passes)
    _check_names(runs, options)
    stages: list[tuple[Run, float]] = []
    last = module.clone() if options.print_ir_after_change else module
    if runs:
        _print_before(runs[0], module, options)

    def after(stage: Stage) -> None:
        nonlocal last
        current = runs[len(stages)]
        stages.append((current, stage.seconds))
        changed = options.print_ir_after_change and not last.is_structurally_equivalent(stage.module)
        if changed or options.print_ir_after_all or any(map(current.is_named, options.print_ir_after)):
            print_stage(f"after {current}", stage.module, options)
        if changed:
            last = stage.module.clone()
        if len(stages) < len(runs):
            _print_before(runs[len(stages)], stage.module, options)

    try:
        run_passes(module, passes, context(), verify_each=options.verify_each, after_each=after)
    except DiagnosticException as error:
        running = runs[len(stages)]
        place = f"pass {len(stages) + 1} of {len(passes)}, '{running}'"
        raise PassError(message(str(error).strip(), place)) from None
    if options.time_passes:
        print_times(stages)


def _check_names(runs: Sequence[Run], options: PassOptions) -> None:
    """Raises PassError for a pass to print at that is not run."""
    for option, names in (("--print-ir-after", options.print_ir_after), ("--print-ir-before", options.print_ir_before)):
        for name in names:
            if not any(one.is_named(name) for one in runs):
                labels = list(map(str, runs))
                fix = did_you_mean(name, [one.name for one in runs]) or f"one of {', '.join(labels) or 'none'}"
                raise PassError(message(f"the pipeline does not run {name!r}", option, fix))


def _print_before(one: Run, module: ModuleOp, options: PassOptions) -> None:
    if any(map(one.is_named, options.print_ir_before)):
        print_stage(f"before {one}", module, options)


def print_stage(what: str, module: ModuleOp, options: PassOptions) -> None:
    """Print a module to standard error, under a line that says what it is."""
    text = print_module(module, debuginfo=options.mlir_print_debuginfo)
    click.echo(f"// -----// IR {what} //----- //\n{text}", err=True)


def print_times(stages: Sequence[tuple[Run, float]]) -> None:
    """Print the time of every pass to standard error."""
    from rich.table import Table

    from optcc.cli.console import error_console

    total = sum(seconds for _, seconds in stages)
    table = Table("pass", "ms", "%", box=None, pad_edge=False)
    for one, seconds in stages:
        table.add_row(str(one), f"{1e3 * seconds:.2f}", f"{100 * seconds / total:.0f}" if total else "")
    table.add_row("total", f"{1e3 * total:.2f}", "")
    for column in table.columns[1:]:
        column.justify = "right"
    error_console().print(table)
