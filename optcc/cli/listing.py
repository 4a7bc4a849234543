"""`optcc list`: what can be named on the command line, as tables."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from optcc.errors import PluginError

KINDS = ("optimizers", "transforms", "schedules", "passes", "pipelines", "params")
EVERYTHING = "all"
XDSL_PASSES = {"cse": "Share equal pure ops. From xDSL.", "dce": "Drop unused pure ops. From xDSL."}
"""xDSL's own passes have no documentation to show."""


@dataclass(frozen=True)
class Section:
    """One table: its title, its columns, and a cell for each of them in every row."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def plain(self) -> str:
        """For a pipe: a line for each row, columns aligned, no blanks at the end."""
        rows = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in (self.title, *lines)) + "\n"

    def rich(self) -> str:
        """For a terminal: cells folded to its width."""
        from rich.table import Table
        from rich.text import Text

        from optcc.cli.console import output_console

        table = Table(title=self.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for column in self.columns:
            table.add_column(column, overflow="fold")
        for row in self.rows:
            table.add_row(*map(Text, row))
        console = output_console()
        with console.capture() as captured:  # rich itself would end the process when the reader of the output is gone
            console.print(table)
        return captured.get()


class Calls(Section):
    """Functions. Their signatures are of very different lengths, so that in a pipe nothing is aligned behind them."""

    def plain(self) -> str:
        rows = (f"{name}{arguments}  {what}".rstrip() for name, arguments, what in self.rows)
        return "\n".join((self.title, *rows)) + "\n"


@click.command("list")
@click.argument("kind", type=click.Choice([*KINDS, EVERYTHING]), default=EVERYTHING)
def list_command(kind: str) -> None:
    """List what can be named in expressions, in pipelines and as parameters."""
    for one in KINDS if kind == EVERYTHING else (kind,):
        section = _section(one)
        click.echo(section.rich() if sys.stdout.isatty() else section.plain(), nl=False)
    if kind == EVERYTHING:
        click.echo(_native())


def _section(kind: str) -> Section:
    match kind:
        case "passes":
            return Section(kind, ("name", "what it does"), list(_passes()))
        case "pipelines":
            return Section(kind, ("name", "passes"), list(_pipelines()))
        case "params":
            return Section(kind, ("name", "leaves", "parameters", "dtype", "source"), list(_presets()))
        case _:
            return Calls(kind, ("name", "arguments", "what it does"), list(_functions(kind)))


def _functions(kind: str) -> Iterator[tuple[str, ...]]:
    from optcc.expressions.functions import GROUP, callables, signature_of
    from optcc.plugins import plugins

    functions: dict[str, tuple[Callable[..., Any], str]] = {name: (f, "") for name, f in callables().items()}
    for name, plugin in plugins(GROUP, callables()).items():
        try:
            functions[name] = plugin.load(), f" From {plugin.distribution}."  # type: ignore[assignment]
            signature_of(functions[name][0])
        except (PluginError, TypeError, ValueError) as error:
            functions.pop(name, None)
            if kind == "transforms":
                yield name, "", f"Cannot be used: {str(error).splitlines()[0]}"
    for name, (function, origin) in sorted(functions.items()):
        if _kind(function) == kind:
            yield name, signature_of(function), _first_line(function) + origin


def _kind(function: Callable[..., Any]) -> str:
    """The table a function belongs in: optimizers are what takes a learning rate first."""
    if ".schedules." in function.__module__:
        return "schedules"
    first = next(iter(inspect.signature(function).parameters), "")
    return "optimizers" if first == "learning_rate" and function.__name__ != "scale_by_learning_rate" else "transforms"


def _passes() -> Iterator[tuple[str, ...]]:
    from optcc.passes import PASSES, known_passes, usage
    from optcc.passes.registry import GROUP
    from optcc.plugins import plugins

    origins = {name: f" From {plugin.distribution}." for name, plugin in plugins(GROUP, PASSES).items()}
    for name, load in sorted(known_passes().items()):
        try:
            one = load()
        except PluginError as error:
            yield name, f"Cannot be used: {str(error).splitlines()[0]}"
        else:
            yield usage(one), (XDSL_PASSES.get(name) or _first_line(one)) + origins.get(name, "")


def _pipelines() -> Iterator[tuple[str, ...]]:
    from optcc.passes import PIPELINES

    for name, passes in PIPELINES.items():
        yield name, ",".join(str(one.pipeline_pass_spec()) for one in passes)


def _presets() -> Iterator[tuple[str, ...]]:
    import jax

    from optcc.params.presets import PRESETS

    for name, preset in PRESETS.items():
        leaves = jax.tree.leaves(preset.build())
        count = sum(math.prod(leaf.shape) for leaf in leaves)
        yield name, str(len(leaves)), f"{count:,}", _unique(str(x.dtype) for x in leaves), preset.source


def _native() -> str:
    from optcc.runtime.native import unavailable_reason

    reason = unavailable_reason()
    return f"native CPU kernels: not available: {reason}" if reason else "native CPU kernels: available"


def _unique(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]
