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
    from optcc.runtime.optimizer import CompiledOptimizer

_T = TypeVar("_T")
PHASES = ("build", "passes", "trace and lower", "XLA")
STAGES = ("optim", "sweeps", "stablehlo", "hlo", "llvm", "asm", "report")
"""What `--emit` takes besides the names of passes."""

_params_option = click.option(
    "--params",
    required=True,
    metavar="PARAMS",
    help="The parameters' shapes: a preset (`optcc list params`), a .safetensors or .npz file, module:attribute, or "
    'JSON such as \'{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}\'.',
)
_backend_option = click.option(
    "--backend",
    type=click.Choice(["auto", "native", "stablehlo"]),
    default="auto",
    show_default=True,
    help="What runs the sweeps: optcc's own kernels (native, on CPU), XLA's, or own ones where they are available.",
)
_examples_option = click.option(
    "--examples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many examples the gradients have, for an optimizer that takes those of single examples, as dpsgd does.",
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
    help="What to print; the name of a pass stands for the IR after it, llvm and asm for the native kernels as LLVM "
    "optimized them for this machine.",
)
@click.option("--print-ir-after-all", is_flag=True, help="Print the module after every pass to standard error.")
@click.option("--verify-each", is_flag=True, help="Verify the module after every pass.")
@click.option("--time-passes", is_flag=True, help="Print the time of every pass to standard error.")
@_backend_option
@_examples_option
@_output_option
def compile_command(
    expression: str,
    params: str,
    emit: str,
    backend: str,
    examples: int,
    print_ir_after_all: bool,
    verify_each: bool,
    time_passes: bool,
    output: str | None,
) -> None:
    """Compile the step of an optimizer for parameters of given shapes, and print a stage of it.

    EXPR is an optimizer, for instance "chain(clip_by_global_norm(1.0), adamw(3e-4))"; see `optcc list`. For lookahead
    the parameters are LookaheadParams, fast and slow ones of the shapes given.
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
        compiled = _build(tx, _parameters_of(tx, shapes), backend, examples)
        phases.enter("passes")
        _run_passes(compiled, options)
        text = _emit(compiled, emit, phases)
    write(text, output)


@click.command("report")
@click.argument("expression", metavar="EXPR")
@_params_option
@_backend_option
@_examples_option
@_output_option
@click.pass_context
def report_command(ctx: click.Context, **options: Any) -> None:
    """Say what the compiled step of an optimizer costs: sweeps, bytes against the floor, kernels, aliasing.

    The same as `optcc compile EXPR --emit report`.
    """
    ctx.invoke(compile_command, emit="report", **options)


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


def _parameters_of(tx: GradientTransformation, shapes: Any) -> Any:
    """The parameters that an optimizer takes: those given, or for lookahead fast and slow ones."""
    from optcc.base import LookaheadParams
    from optcc.formula.definition import Definition, definition_of

    def has_lookahead(definition: Definition) -> bool:
        return definition.name == "lookahead" or any(map(has_lookahead, definition.children))

    return LookaheadParams.init_synced(shapes) if has_lookahead(definition_of(tx)) else shapes


def _build(tx: GradientTransformation, shapes: Any, backend: str, examples: int) -> CompiledOptimizer:
    from optcc import compilation

    compiled = _as_user_error(lambda: compilation.compile(tx, shapes, backend=backend, examples=examples))
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
    if emit in ("llvm", "asm"):
        text = compiled.llvm() if emit == "llvm" else compiled.asm()
        if not text:
            raise CompileError(message("no sweep of this optimizer has a native kernel", f"--emit {emit}"))
        return text
    if emit in ("stablehlo", "hlo", "report"):
        phases.enter("trace and lower")
        _check_device()
        _as_user_error(lambda: compiled.lowered)
        if emit == "stablehlo":
            return compiled.stablehlo()
        phases.enter("XLA")
        return compiled.hlo() if emit == "hlo" else compiled.report()
    return compiled.ir(emit)
