"""The group of commands, their exit codes and how their errors are shown."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click

from optcc.cli.bench import bench_command
from optcc.cli.compile import compile_command
from optcc.cli.explore import explore_command
from optcc.cli.listing import list_command
from optcc.cli.opt import opt_command
from optcc.cli.report import report_command
from optcc.cli.run import run_command
from optcc.cli.verify import verify_command
from optcc.errors import OptccError

INTERRUPTED = 130
"""128 + SIGINT, as shells report an interrupted command."""


class UserError(click.ClickException):
    """An error of the user, shown as `error: ...` without a traceback; exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.message}", file=file, err=file is None)


class App(click.Group):
    """A group that turns the errors of optcc, an interrupt and a closed pipe into exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except OptccError as error:
            raise UserError(str(error)) from None
        except BrokenPipeError:
            _abandon_stdout()
            raise click.exceptions.Exit(0) from None
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        return result


def _abandon_stdout() -> None:
    """The reader is gone: let what is still buffered go nowhere, so that the exit is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from optcc.versions import versions

        found = versions()
        others = ", ".join(f"{name} {found[name]}" for name in ("jax", "jaxlib", "xdsl", "llvm", "python"))
        click.echo(f"optcc {found['optcc']} ({others})")
        ctx.exit()


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="The versions of optcc, jax, xdsl and LLVM.",
)
def app() -> None:
    """optcc, an optimizer compiler for JAX.

    Exit codes: 0; 1 for an error in the input, with one message; 2 for wrong usage.
    """


for _command in (
    compile_command,
    opt_command,
    report_command,
    explore_command,
    run_command,
    verify_command,
    bench_command,
    list_command,
):
    app.add_command(_command)


def main() -> None:
    """Run the command line; does not return."""
    try:
        app(prog_name="optcc")
    except SystemExit as end:
        if end.code == INTERRUPTED:  # JAX, interrupted while it lowers, crashes when Python takes it down in order
            os._exit(INTERRUPTED)
        raise
