"""`optcc explore`."""

from __future__ import annotations

import shlex
import sys
from typing import Any

import click

from optcc.cli.compiling import PHASES, Source, as_user_error, json_option, source_options, wide_enough
from optcc.cli.options import PipelineCommand
from optcc.cli.output import check_writable, write
from optcc.cli.progress import Phases


@click.command("explore", cls=PipelineCommand)
@click.argument("expression", metavar="EXPR")
@source_options
@json_option
@click.option("--model-explorer", is_flag=True, help="Write the step as a graph in the JSON of Model Explorer.")
@click.option(
    "--numerics",
    "steps",
    metavar="STEPS",
    type=click.IntRange(0),
    default=0,
    help="Take steps with every backend, and show how far each leaf is from the interpreter.",
)
@click.option("-o", "output", metavar="FILE.html", help="Where to write; default standard output.")
@click.pass_context
def explore_command(
    ctx: click.Context,
    expression: str,
    as_json: bool,
    model_explorer: bool,
    steps: int,
    output: str | None,
    **options: Any,
) -> None:
    """Write one HTML file that shows an optimizer from its formula to its kernels. It needs no network.

    Formulas, passes and kernels stand side by side. A click on a line marks all that comes from the same line of a
    formula. Passes that changed nothing are hidden. With --json the same as data; with --model-explorer the sweeps as a
    graph for that tool.
    """
    from optcc.explore import explore, model_explorer_json, page

    check_writable(output)
    source = Source.of(ctx, expression, options)
    make, shapes = source.load()
    command = shlex.join(["optcc", *sys.argv[1:]]) if sys.argv[1:] else f"optcc explore {expression}"
    with wide_enough(shapes), Phases((*PHASES, "numerics")) as phases:
        phases.enter("build")
        compiled = make()
        phases.enter("passes")
        as_user_error(lambda: compiled.staged)
        if model_explorer:
            text = model_explorer_json(compiled, f"{expression} on {source.params}")
        else:
            if steps:
                phases.enter("numerics")
            found = as_user_error(
                lambda: explore(compiled, command=command, expression=expression, params=source.params, steps=steps)
            )
            text = found.to_json() if as_json else page(found)
    write(text, output)
