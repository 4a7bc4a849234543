"""What the commands that run passes have in common: their options, and hints for what MLIR's tools take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class PassOptions:
    """What to do before and after every pass; a name is a pass, or one of its runs as `cse#2`."""

    verify_each: bool = False
    time_passes: bool = False
    print_ir_after_all: bool = False
    print_ir_after_change: bool = False
    print_ir_after: tuple[str, ...] = ()
    print_ir_before: tuple[str, ...] = ()
    mlir_print_debuginfo: bool = False

    @property
    def prints(self) -> bool:
        """True if modules are printed to standard error."""
        return bool(
            self.print_ir_after_all or self.print_ir_after_change or self.print_ir_after or self.print_ir_before
        )

    @property
    def any(self) -> bool:
        """True if there is anything to do."""
        return self.verify_each or self.time_passes or self.prints


_PASS_OPTIONS = (
    click.option("--print-ir-after-all", is_flag=True, help="Print the module after every pass to standard error."),
    click.option("--print-ir-after-change", is_flag=True, help="The same, after the passes that changed it only."),
    click.option(
        "--print-ir-after",
        multiple=True,
        metavar="PASS[#N]",
        help="The same, after one pass, or after its N-th run only. May be given several times.",
    ),
    click.option("--print-ir-before", multiple=True, metavar="PASS[#N]", help="The same, before one pass."),
    click.option("--verify-each", is_flag=True, help="Verify the module after every pass."),
    click.option("--time-passes", is_flag=True, help="Print the time of every pass to standard error."),
    click.option(
        "--mlir-print-debuginfo", is_flag=True, help="Print with each op where in which transformation it comes from."
    ),
)


def pass_options(command: _F) -> _F:
    """The options of a command that `PassOptions` takes."""
    for option in reversed(_PASS_OPTIONS):
        command = option(command)
    return command


def pipeline_option(*, default: str | None, passes_of: str) -> Callable[[_F], _F]:
    """`-p`."""
    return click.option(
        "-p",
        "--pipeline",
        "--passes",
        "pipeline",
        metavar="PIPELINE",
        default=default,
        show_default=default is not None,
        help=f"The passes {passes_of}: a list such as `split-leaves,fuse-maps`, in which a named pipeline stands for "
        "its passes; see `optcc list passes`.",
    )


class PipelineCommand(click.Command):
    """A command with `-p` that says so to who gives it the options of MLIR's tools."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from optcc.passes import PASSES

            name = error.option_name.lstrip("-")
            if name != "pass-pipeline" and name not in PASSES:
                raise
            fix = f"write -p {name}" if name in PASSES else "write -p with the passes alone, as in -p fuse-maps,cse"
            raise click.UsageError(f"No such option: {error.option_name}; {fix}.", ctx) from None
