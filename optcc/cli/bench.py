"""`optcc bench`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from optcc.cli.compiling import as_user_error, json_option, params_option, wide_enough
from optcc.cli.output import check_writable, write
from optcc.cli.progress import Status
from optcc.errors import message

OTHERS = ("optax", "torch")
_NUMBER = r"[-+.\w* /]*"
_IN_TORCH = {
    "sgd": rf"sgd\({_NUMBER}\)",
    "momentum": rf"sgd\({_NUMBER}, *(momentum=)?{_NUMBER}\)",
    "adam": r"adam\([^()]*\)",
    "adamw": r"adamw\([^()]*\)",
    "clip_adamw": rf"chain\(clip_by_global_norm\({_NUMBER}\), *adamw\([^()]*\)\)",
}
"""The expressions that PyTorch has an optimizer for; its numbers are its own, which does not change the time."""


def _listed(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


@click.command("bench")
@click.argument("expression", metavar="EXPR")
@params_option
@click.option("--against", callback=_listed, default="", metavar="optax,torch", help="Other libraries to time beside.")
@click.option(
    "--backends", callback=_listed, default="native,stablehlo", show_default=True, help="What runs the sweeps."
)
@click.option(
    "--layouts",
    callback=_listed,
    default="tree",
    show_default=True,
    help="How the first backend finds arrays: tree; state, a packed state; all, everything packed; tiled.",
)
@click.option("--seconds", type=click.FloatRange(min=0), default=20.0, show_default=True, help="How long to measure.")
@click.option("--rounds", type=click.IntRange(min=1), default=50, show_default=True, help="Rounds at most.")
@click.option("--torch-python", default=sys.executable, metavar="PYTHON", help="A Python with PyTorch.")
@click.option("--plot", "picture", metavar="FILE.png", help="Draw the times and the memory limit; needs matplotlib.")
@json_option
@click.option("-o", "--output", metavar="FILE", help="Write JSON to a file, besides the table.")
def bench_command(
    expression: str,
    params: str,
    against: tuple[str, ...],
    picture: str | None,
    as_json: bool,
    output: str | None,
    **options: Any,
) -> None:
    """Time a step on this machine beside other libraries and the memory limit, in turns, in one run.

    Each step updates and applies in place; its time runs from the call until all results are there. Printed are
    medians, quartiles, and the median ratio to the first contender. The memory limit is a C loop over the same streams.
    """
    from optcc.bench import Settings, bench
    from optcc.bench.plot import check_plot, plot
    from optcc.expressions import optax_optimizer, parse_optimizer
    from optcc.params import load_params

    if unknown := [name for name in against if name not in OTHERS]:
        raise click.UsageError(message(f"unknown library {unknown[0]!r}", "--against", f"one of {', '.join(OTHERS)}"))
    check_writable(output)
    if picture:
        check_plot()
    tx, shapes = parse_optimizer(expression), load_params(params)
    with wide_enough(shapes), Status() as status:
        settings = Settings(
            optax=optax_optimizer(expression) if "optax" in against else None,
            torch=torch_name(expression) if "torch" in against else "",
            **options,
        )
        named = {"expression": expression, "params": params}
        result = as_user_error(lambda: bench(tx, shapes, settings, **named, progress=status.show))
    write(result.to_json() if as_json else str(result), None)
    if output:
        write(result.to_json(), output)
    if picture:
        plot(result, Path(picture))


def torch_name(expression: str) -> str:
    """The chain of PyTorch that an expression is timed beside. Raises BenchError where there is none."""
    from optcc.bench import BenchError

    short = re.sub(r"\b(optcc|optax)\.", "", expression.strip())
    for name, pattern in _IN_TORCH.items():
        if re.fullmatch(pattern, short):
            return name
    fix = "leave torch out of --against; it has sgd, adam, adamw, and clip_by_global_norm before adamw"
    raise BenchError(message("PyTorch has no fused form of this expression", "--against torch", fix))
