"""`optcc list`: what can be named on the command line, as tables."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

KINDS = ("optimizers", "transforms", "schedules", "passes", "pipelines", "params")
EVERYTHING = "all"
XDSL_PASSES = {"cse": "Share equal pure ops. From xDSL.", "dce": "Drop unused pure ops. From xDSL."}
"""xDSL's own passes have no documentation to show."""


@click.command("list")
@click.argument("kind", type=click.Choice([*KINDS, EVERYTHING]), default=EVERYTHING)
def list_command(kind: str) -> None:
    """List what can be named in expressions, in pipelines and as parameters."""
    from optcc.cli.console import output_console

    console = output_console()
    with console.capture() as captured:  # rich itself would end the process when the reader of the output is gone
        for one in KINDS if kind == EVERYTHING else (kind,):
            console.print(_table(one))
        if kind == EVERYTHING:
            console.print(_native())
    click.echo(captured.get(), nl=False)


def _table(kind: str) -> Table:
    match kind:
        case "passes":
            return _passes()
        case "pipelines":
            return _pipelines()
        case "params":
            return _presets()
        case _:
            return _functions(kind)


def _new_table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _functions(kind: str) -> Table:
    from rich.text import Text

    from optcc.expressions.functions import callables, signature_of

    table = _new_table(kind, "name", "arguments", "what it does")
    for name, function in callables().items():
        if _kind(function) == kind:
            table.add_row(name, Text(signature_of(name)), Text(_first_line(function)))
    return table


def _kind(function: Callable[..., Any]) -> str:
    """The table a function belongs in: optimizers are what takes a learning rate first."""
    if ".schedules." in function.__module__:
        return "schedules"
    first = next(iter(inspect.signature(function).parameters), "")
    return "optimizers" if first == "learning_rate" and function.__name__ != "scale_by_learning_rate" else "transforms"


def _passes() -> Table:
    from rich.text import Text

    from optcc.passes import PASSES

    table = _new_table("passes", "name", "what it does")
    for name, one in sorted(PASSES.items()):
        table.add_row(name, Text(XDSL_PASSES.get(name) or _first_line(one)))
    return table


def _pipelines() -> Table:
    from rich.text import Text

    from optcc.passes import PIPELINES

    table = _new_table("pipelines", "name", "passes")
    for name, passes in PIPELINES.items():
        table.add_row(name, Text(",".join(str(one.pipeline_pass_spec()) for one in passes)))
    return table


def _presets() -> Table:
    import jax

    from optcc.params.presets import PRESETS

    table = _new_table("params", "name", "leaves", "parameters", "dtype", "source")
    for name, preset in PRESETS.items():
        leaves = jax.tree.leaves(preset.build())
        count = sum(math.prod(leaf.shape) for leaf in leaves)
        table.add_row(name, str(len(leaves)), f"{count:,}", _unique(str(x.dtype) for x in leaves), preset.source)
    return table


def _native() -> Text:
    from rich.text import Text

    from optcc.runtime.native import unavailable_reason

    reason = unavailable_reason()
    return Text(f"native CPU kernels: not available: {reason}" if reason else "native CPU kernels: available")


def _unique(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]
