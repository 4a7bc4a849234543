"""Printing what is different between two modules."""

from __future__ import annotations

from collections.abc import Sequence

import click
from xdsl.dialects.builtin import ModuleOp

from optcc.cli.options import PassOptions
from optcc.cli.output import STDOUT, write
from optcc.passes.analysis.diff import diff_modules

DIFFERENT = 1
"""The exit code if there is a difference, as `diff` has it."""
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def show_diff(
    ctx: click.Context, names: Sequence[str], modules: Sequence[ModuleOp], output: str | None, options: PassOptions
) -> None:
    """Print the differences of two modules, in colours on a terminal, and exit with 1; nothing if there are none."""
    old, new = modules
    lines = diff_modules(old, new, *names, debuginfo=options.mlir_print_debuginfo)
    if output not in (None, STDOUT):
        write("\n".join(lines), output)
    elif lines:
        click.echo("\n".join(map(_coloured, lines)))  # which drops the colours where there is no terminal
    if lines:
        ctx.exit(DIFFERENT)


def _coloured(line: str) -> str:
    colour = _COLOURS.get(line[:1])
    return click.style(line, fg=colour) if colour else line
