"""`optcc compile` and `optcc report`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from optcc.cli.output import check_writable, write
from optcc.cli.progress import Phases
from optcc.errors import OptccError, did_you_mean, message

if TYPE_CHECKING:
    from optcc.base import GradientTransformation
    from optcc.cli.passes import PassOptions
    from optcc.runtime.compiled import CompiledOptimizer

_T = TypeVar("_T")
PHASES = ("build", "passes", "trace and lower", "XLA")
STAGES = ("optim", "sweeps", "stablehlo", "hlo", "report")
"""What `--emit` takes besides the names of passes."""

_params_option = click.option(
    "--params",
    required=True,
    metavar="PARAMS",
    help="The parameters' shapes: a preset (`optcc list params`), a .safetensors or .npz file, module:attribute, or "
    'JSON such as \'{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}\'.',
)
_output_option = click.option("-o", "output", metavar="FILE", help="Where to write; default standard output.")


class CompileError(OptccError):
    """An optimizer that cannot be compiled for these parameters."""


@click.command("compile")
@click.argument("expression", metavar="EXPR")
@_params_option
@click.option(
    "--emit",
    default="sweeps",
    show_default=True,
    metavar="|".join(STAGES),
    help="What to print; the name of a pass stands for the IR after it.",
)
@click.option("--print-ir-after-all", is_flag=True, help="Print the module after every pass to standard error.")
@click.option("--verify-each", is_flag=True, help="Verify the module after every pass.")
@click.option("--time-passes", is_flag=True, help="Print the time of every pass to standard error.")
@_output_option
def compile_command(
    expression: str,
    params: str,
    emit: str,
    print_ir_after_all: bool,
    verify_each: bool,
    time_passes: bool,
    output: str | None,
) -> None:
    """Compile the step of an optimizer for parameters of given shapes, and print a stage of it.

    EXPR is an optimizer, for instance "chain(clip_by_global_norm(1.0), adamw(3e-4))"; see `optcc list`.
    """
    from optcc.cli.passes import PassOptions
    from optcc.expressions import parse_optimizer
    from optcc.params import load_params

    check_writable(output)
    _check_stage(emit)
    tx, shapes = parse_optimizer(expression), load_params(params)
    options = PassOptions(verify_each=verify_each, print_each=print_ir_after_all, time_each=time_passes)
    with _wide_enough(shapes), Phases(PHASES, quiet=print_ir_after_all) as phases:
        phases.enter("build")
        compiled = _build(tx, shapes)
        phases.enter("passes")
        _run_passes(compiled, options)
        text = _emit(compiled, emit, phases)
    write(text, output)


@click.command("report")
@click.argument("expression", metavar="EXPR")
@_params_option
@_output_option
@click.pass_context
def report_command(ctx: click.Context, expression: str, params: str, output: str | None) -> None:
    """Say what the compiled step of an optimizer costs: sweeps, bytes against the floor, kernels, aliasing.

    The same as `optcc compile EXPR --emit report`.
    """
    ctx.invoke(compile_command, expression=expression, params=params, emit="report", output=output)


def _check_stage(emit: str) -> None:
    """Raises CompileError, with the nearest names, for what `--emit` cannot print."""
    from optcc.passes import PASSES, PIPELINES

    names = [*STAGES, *dict.fromkeys(one.name for one in PIPELINES["step"])]
    if emit in names:
        return
    if emit in PASSES:
        raise CompileError(
            message(f"the pass {emit!r} is not part of compilation", "--emit", f"one of {', '.join(names)}")
        )
    raise CompileError(
        message(f"unknown stage or pass {emit!r}", "--emit", did_you_mean(emit, names) or f"one of {', '.join(names)}")
    )


def _wide_enough(shapes: Any) -> AbstractContextManager[Any]:
    """64-bit types in JAX for as long as needed, for parameters that are float64."""
    import jax

    wide = any(leaf.dtype == "float64" for leaf in jax.tree.leaves(shapes))
    return jax.enable_x64(True) if wide else nullcontext()


def _build(tx: GradientTransformation, shapes: Any) -> CompiledOptimizer:
    from optcc import compilation

    compiled = _as_user_error(lambda: compilation.compile(tx, shapes))
    _as_user_error(lambda: compiled.program)
    return compiled


def _as_user_error(work: Callable[[], _T]) -> _T:
    """What an expression and parameters that do not go together raise, as CompileError."""
    try:
        return work()
    except OptccError:
        raise
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CompileError(str(error)) from error


def _run_passes(compiled: CompiledOptimizer, options: PassOptions) -> None:
    if options.any:
        from optcc.cli.passes import print_stage, run
        from optcc.passes import PIPELINES

        if options.print_each:
            print_stage("optim", compiled.program.module)
        run(compiled.program.module.clone(), PIPELINES["step"], options)
    _as_user_error(lambda: compiled.staged)


def _check_device() -> None:
    """Raises CompileError if JAX has no device to compile for."""
    import jax

    try:
        jax.devices()
    except RuntimeError as error:
        raise CompileError(message(str(error), "JAX", "set JAX_PLATFORMS=cpu")) from None


def _emit(compiled: CompiledOptimizer, emit: str, phases: Phases) -> str:
    if emit in ("stablehlo", "hlo", "report"):
        phases.enter("trace and lower")
        _check_device()
        _as_user_error(lambda: compiled.lowered)
        if emit == "stablehlo":
            return compiled.stablehlo()
        phases.enter("XLA")
        return compiled.hlo() if emit == "hlo" else compiled.report()
    return compiled.ir(emit)
