"""`optcc compile` and `optcc report`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from optcc.cli.options import PassOptions, PipelineCommand, pass_options, pipeline_option
from optcc.cli.output import check_writable, write
from optcc.cli.progress import Phases
from optcc.errors import OptccError, did_you_mean, message

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

    from optcc.base import GradientTransformation
    from optcc.runtime.optimizer import CompiledOptimizer

_T = TypeVar("_T")
PHASES = ("build", "passes", "trace and lower", "XLA")
IR_STAGES = ("optim", "sweeps")
STAGES = (*IR_STAGES, "stablehlo", "hlo", "llvm", "asm", "report")
"""What `--emit` takes besides the names of passes."""

params_option = click.option(
    "--params",
    required=True,
    metavar="PARAMS",
    help="The parameters' shapes: a preset (`optcc list params`), a .safetensors or .npz file, module:attribute, or "
    'JSON such as \'{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}\'.',
)
backend_option = click.option(
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
_target_option = click.option(
    "--target",
    metavar="TARGET",
    help="What stablehlo, hlo and report are of: cpu, or a card that need not be there, such as cuda:h100 or tpu:v5e; "
    "by default the device that JAX finds.",
)
_layout_option = click.option(
    "--layout",
    type=click.Choice(["tree", "packed", "tiled", "auto"]),
    default="tree",
    show_default=True,
    help="How the state is kept; tiled, parameters and gradients are, too.",
)
_pipeline_option = pipeline_option(default="step", passes_of="of the step")
_output_option = click.option("-o", "output", metavar="FILE", help="Where to write; default standard output.")


class CompileError(OptccError):
    """An optimizer that cannot be compiled for these parameters."""


@click.command("compile", cls=PipelineCommand)
@click.argument("expression", metavar="EXPR")
@params_option
@click.option(
    "--emit",
    default="sweeps",
    show_default=True,
    metavar="|".join(STAGES),
    help="What to print; the name of a pass stands for the IR after it, PASS#N for that after its N-th run, llvm and "
    "asm for the native kernels as LLVM optimized them for this machine.",
)
@click.option(
    "--diff",
    nargs=2,
    metavar="STAGE STAGE",
    help="Print what is different between two stages of the IR, but for the names of values; exit code 1 if anything.",
)
@_pipeline_option
@pass_options
@backend_option
@_target_option
@_layout_option
@_examples_option
@_output_option
@click.pass_context
def compile_command(
    ctx: click.Context,
    expression: str,
    params: str,
    emit: str,
    diff: tuple[str, str] | None,
    pipeline: str,
    backend: str,
    target: str | None,
    layout: str,
    examples: int,
    output: str | None,
    **rest: Any,
) -> None:
    """Compile the step of an optimizer for parameters of given shapes, and print a stage of it.

    EXPR is an optimizer, for instance "chain(clip_by_global_norm(1.0), adamw(3e-4))"; see `optcc list`. One of your own
    is module:function(...), of a module in the current directory or in the environment. For lookahead the parameters
    are LookaheadParams, fast and slow ones of the shapes given. A file that ends in .mlir is a module, which is run as
    it is unless --pipeline is given.
    """
    from optcc.params import load_params

    check_writable(output)
    passes = passes_for(ctx, expression, pipeline)
    for stage in diff or (emit,):
        _check_stage(stage, passes, IR_STAGES if diff else STAGES, "--diff" if diff else "--emit")
    make, shapes = optimizer_or_module(expression), load_params(params)
    options = PassOptions(**rest)
    with wide_enough(shapes), Phases(PHASES, quiet=options.prints) as phases:
        phases.enter("build")
        given = {"backend": backend, "layout": layout, "examples": examples, "target": target}
        compiled = make(shapes, pipeline=passes, **given)
        phases.enter("passes")
        _run_passes(compiled, options)
        if not diff:
            text = _emit(compiled, emit, phases, options)
    if diff:
        from optcc.cli.diff import show_diff

        show_diff(ctx, diff, [compiled.staged.module(stage) for stage in diff], output, options)
    else:
        write(text, output)


@click.command("report", cls=PipelineCommand)
@click.argument("expression", metavar="EXPR")
@params_option
@_pipeline_option
@backend_option
@_target_option
@_layout_option
@_examples_option
@_output_option
@click.pass_context
def report_command(ctx: click.Context, **options: Any) -> None:
    """Say what the compiled step of an optimizer costs: sweeps, bytes against the floor, kernels, aliasing.

    The same as `optcc compile EXPR --emit report`.
    """
    ctx.invoke(compile_command, emit="report", **options)


def _check_stage(stage: str, passes: Sequence[ModulePass], others: Sequence[str], option: str) -> None:
    """Raises CompileError, with the nearest names, for a stage that there is not."""
    from optcc.passes import known_passes, runs_of

    runs = runs_of(passes)
    if stage in others or any(run.is_named(stage) for run in runs):
        return
    names = [*others, *dict.fromkeys(run.name for run in runs)]
    name, _, number = stage.partition("#")
    total = sum(run.name == name for run in runs)
    if number and total:
        fix = f"write {name}#N with N from 1 to {total}, or {name} for the last one"
        raise CompileError(message(f"the pass {name!r} has no run {number!r}", option, fix))
    if name in known_passes():
        fix = f"one of {', '.join(names)}, or add it to --pipeline"
        raise CompileError(message(f"the pass {name!r} is not part of compilation", option, fix))
    what = "stage of the IR or pass" if option == "--diff" else "stage or pass"
    raise CompileError(
        message(f"unknown {what} {stage!r}", option, did_you_mean(stage, names) or f"one of {', '.join(names)}")
    )


def passes_for(ctx: click.Context, source: str, pipeline: str) -> Sequence[ModulePass]:
    """The passes to run: none by default for a module, which is at some stage already."""
    from click.core import ParameterSource

    from optcc.passes import passes_of, passes_of_step

    if not is_module(source):
        return passes_of_step(pipeline)
    is_given = ctx.get_parameter_source("pipeline") is not ParameterSource.DEFAULT
    return passes_of(pipeline) if is_given else ()


def is_module(source: str) -> bool:
    """Whether a command's argument names a file with a module, and is no expression."""
    return source.endswith(".mlir")


def optimizer_or_module(source: str) -> Callable[..., CompiledOptimizer]:
    """What compiles an expression or a module for parameters. Raises an OptccError for one that cannot be read."""
    if not is_module(source):
        from optcc.expressions import parse_optimizer

        tx = parse_optimizer(source)
        return lambda shapes, **options: _build(tx, _parameters_of(tx, shapes), **options)
    from optcc.compilation import compile_module
    from optcc.program.module_text import read_text

    _, text = read_text(source)

    def make(shapes: Any, *, examples: int, layout: str = "tree", **options: Any) -> CompiledOptimizer:
        del examples
        if layout != "tree":
            raise CompileError(message("the layout of a module is in its slots", "--layout", "leave --layout out"))
        return _as_user_error(lambda: compile_module(text, shapes, **options))

    return make


def wide_enough(shapes: Any) -> AbstractContextManager[Any]:
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


def _build(tx: GradientTransformation, shapes: Any, **options: Any) -> CompiledOptimizer:
    from optcc import compilation

    compiled = _as_user_error(lambda: compilation.compile(tx, shapes, **options))
    _as_user_error(lambda: compiled.program)
    return compiled


def _as_user_error(work: Callable[[], _T]) -> _T:
    """What an expression and parameters that do not go together raise, and invalid modules, as CompileError."""
    from xdsl.utils.exceptions import DiagnosticException

    try:
        return work()
    except OptccError:
        raise
    except (TypeError, ValueError, NotImplementedError) as error:
        raise CompileError(str(error)) from error
    except DiagnosticException as error:
        raise CompileError(message(str(error).strip(), "--pipeline", "see --verify-each")) from error


def _run_passes(compiled: CompiledOptimizer, options: PassOptions) -> None:
    if options.any:
        from optcc.cli.passes import print_stage, run

        if options.print_ir_after_all:
            print_stage("after optim", compiled.program.module, options)
        run(compiled.program.module.clone(), compiled.pipeline, options)
    _as_user_error(lambda: compiled.staged)


def _check_device() -> None:
    """Raises CompileError if JAX has no device to compile for."""
    import jax

    try:
        jax.devices()
    except RuntimeError as error:
        raise CompileError(message(str(error), "JAX", "set JAX_PLATFORMS=cpu")) from None


def _emit(compiled: CompiledOptimizer, emit: str, phases: Phases, options: PassOptions) -> str:
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
    if options.mlir_print_debuginfo:
        from optcc.program.module_text import print_module

        return print_module(compiled.staged.module(emit), debuginfo=True)
    return compiled.ir(emit)
