"""`optcc verify`."""

from __future__ import annotations

from typing import Any

import click

from optcc.cli.compiling import (
    Source,
    backend_option,
    examples_option,
    hyper_option,
    json_option,
    output_option,
    params_option,
    step_pipeline_option,
    wide_enough,
)
from optcc.cli.options import PipelineCommand
from optcc.cli.output import check_writable, write
from optcc.cli.progress import Status


@click.command("verify", cls=PipelineCommand)
@click.argument("expression", metavar="EXPR")
@params_option
@click.option("--steps", type=click.IntRange(min=1), default=10, show_default=True, help="How many steps to take.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random parameters and gradients.")
@step_pipeline_option
@backend_option
@examples_option
@hyper_option
@json_option
@output_option
@click.pass_context
def verify_command(
    ctx: click.Context, expression: str, steps: int, seed: int, as_json: bool, output: str | None, **options: Any
) -> None:
    """Compare every backend and layout with the interpreter, on this device, and Optax if it is installed.

    The inputs are normally distributed numbers; zeros, NaN, infinities and denormals; and values that make ties. Each
    step starts at the interpreter's state. For every leaf the largest difference is found in units in the last place.
    Exit code 1 where any leaf is further away than the numerics contract allows: the leaf, the contender and the op
    that makes the leaf are named.
    """
    from optcc.verify import verify
    from optcc.verify.against_optax import optax_step

    check_writable(output)
    source = Source.of(ctx, expression, options)
    make, shapes = source.load()
    with wide_enough(shapes), Status() as status:
        compiled = make()
        others, reason = optax_step(expression, compiled, changed=bool(source.hyper))
        found = verify(compiled, steps=steps, seed=seed, others=others, skipped=reason, progress=status.show)
    write(found.to_json() if as_json else str(found), output)
    if not found:
        ctx.exit(1)
