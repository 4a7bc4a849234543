"""`optcc report`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from optcc.cli.compiling import (
    PHASES,
    Source,
    as_user_error,
    check_device,
    json_option,
    output_option,
    source_options,
    wide_enough,
)
from optcc.cli.options import PipelineCommand
from optcc.cli.output import check_writable, write
from optcc.cli.progress import Phases


@click.command("report", cls=PipelineCommand)
@click.argument("expression", metavar="EXPR")
@source_options
@click.option("--no-xla", is_flag=True, help="Compile nothing; kernels, aliased bytes and temporaries are left out.")
@click.option("--measure", is_flag=True, help="Take steps, too: time, GB/s, share of the measured memory limit.")
@json_option
@output_option
@click.pass_context
def report_command(
    ctx: click.Context,
    expression: str,
    no_xla: bool,
    measure: bool,
    as_json: bool,
    output: str | None,
    **options: Any,
) -> None:
    """Say what the compiled step of an optimizer costs: sweeps, bytes against the floor, kernels, aliasing.

    Without --json the same as `optcc compile EXPR --emit report`.
    """
    from optcc import bench

    check_writable(output)
    source = Source.of(ctx, expression, options)
    make, shapes = source.load()
    with wide_enough(shapes), Phases((*PHASES, "measure")) as phases:
        phases.enter("build")
        compiled = make()
        phases.enter("passes")
        as_user_error(lambda: compiled.staged)
        if not no_xla:
            phases.enter("trace and lower")
            check_device()
            as_user_error(lambda: compiled.lowered)
            phases.enter("XLA")
        report = compiled.report(xla=not no_xla)
        if measure:
            phases.enter("measure")
            report = replace(report, measured=bench.measure(compiled))
    write(report.to_json() if as_json else str(report), output)
