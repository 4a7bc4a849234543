"""`optcc compile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from optcc.cli.compiling import (
    PHASES,
    CompileError,
    Source,
    as_user_error,
    check_device,
    output_option,
    source_options,
    wide_enough,
)
from optcc.cli.options import PassOptions, PipelineCommand, pass_options
from optcc.cli.output import check_writable, write
from optcc.cli.progress import Phases
from optcc.errors import did_you_mean, message

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

    from optcc.runtime.optimizer import CompiledOptimizer

IR_STAGES = ("optim", "sweeps")
STAGES = (*IR_STAGES, "stablehlo", "hlo", "llvm", "asm", "init", "report")
"""What `--emit` takes besides the names of passes."""


@click.command("compile", cls=PipelineCommand)
@click.argument("expression", metavar="EXPR")
@click.option(
    "--emit",
    default="sweeps",
    show_default=True,
    metavar="|".join(STAGES),
    help="What to print; the name of a pass stands for the IR after it, PASS#N for that after its N-th run, init for "
    "@init alone after all passes, llvm and asm for the native kernels as LLVM optimized them for this machine.",
)
@click.option(
    "--diff",
    nargs=2,
    metavar="STAGE STAGE",
    help="Print what is different between two stages of the IR, but for the names of values; exit code 1 if anything.",
)
@source_options
@pass_options
@output_option
@click.pass_context
def compile_command(
    ctx: click.Context,
    expression: str,
    emit: str,
    diff: tuple[str, str] | None,
    output: str | None,
    **rest: Any,
) -> None:
    """Compile the step of an optimizer for parameters of given shapes, and print a stage of it.

    EXPR is an optimizer, for instance "chain(clip_by_global_norm(1.0), adamw(3e-4))"; see `optcc list`. One of your own
    is module:function(...), of a module in the current directory or in the environment. For lookahead the parameters
    are LookaheadParams, fast and slow ones of the shapes given. A file that ends in .mlir is a module, which is run as
    it is unless --pipeline is given.
    """
    check_writable(output)
    source = Source.of(ctx, expression, rest)
    for stage in diff or (emit,):
        _check_stage(stage, source.passes, IR_STAGES if diff else STAGES, "--diff" if diff else "--emit")
    make, shapes = source.load()
    options = PassOptions(**rest)
    with wide_enough(shapes), Phases(PHASES, quiet=options.prints) as phases:
        phases.enter("build")
        compiled = make()
        phases.enter("passes")
        _run_passes(compiled, options)
        if not diff:
            text = _emit(compiled, emit, phases, options)
    if diff:
        from optcc.cli.diff import show_diff

        show_diff(ctx, diff, [compiled.staged.module(stage) for stage in diff], output, options)
    else:
        write(text, output)


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


def _run_passes(compiled: CompiledOptimizer, options: PassOptions) -> None:
    if options.any:
        from optcc.cli.passes import print_stage, run

        if options.print_ir_after_all:
            print_stage("after optim", compiled.program.module, options)
        run(compiled.program.module.clone(), compiled.pipeline, options)
    as_user_error(lambda: compiled.staged)


def _emit(compiled: CompiledOptimizer, emit: str, phases: Phases, options: PassOptions) -> str:
    if emit in ("llvm", "asm"):
        text = compiled.llvm() if emit == "llvm" else compiled.asm()
        if not text:
            raise CompileError(message("no sweep of this optimizer has a native kernel", f"--emit {emit}"))
        return text
    if emit in ("stablehlo", "hlo", "report"):
        phases.enter("trace and lower")
        check_device()
        as_user_error(lambda: compiled.lowered)
        if emit == "stablehlo":
            return compiled.stablehlo()
        phases.enter("XLA")
        return compiled.hlo() if emit == "hlo" else str(compiled.report())
    if emit == "init":
        return _init_alone(compiled)
    if options.mlir_print_debuginfo:
        from optcc.program.module_text import print_module

        return print_module(compiled.staged.module(emit), debuginfo=True)
    return compiled.ir(emit)


def _init_alone(compiled: CompiledOptimizer) -> str:
    """The module after all passes with `@init` and the leaf sets only."""
    from xdsl.dialects.func import FuncOp

    from optcc.program.program import INIT

    module = compiled.staged.program.module.clone()
    for op in [op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data != INIT]:
        op.detach()
        op.erase()
    return f"{module!s}\n"
