"""What the commands that compile an optimizer have in common: its options, and making it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from optcc.base import PyTree
from optcc.cli.options import pipeline_option
from optcc.errors import OptccError, message

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

    from optcc.base import GradientTransformation
    from optcc.runtime.optimizer import CompiledOptimizer

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])
PHASES = ("build", "passes", "trace and lower", "XLA")

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
examples_option = click.option(
    "--examples",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="How many examples the gradients have, for an optimizer that takes those of single examples, as dpsgd does.",
)
target_option = click.option(
    "--target",
    metavar="TARGET",
    help="What stablehlo, hlo and report are of: cpu, or a card that need not be there, such as cuda:h100 or tpu:v5e; "
    "by default the device that JAX finds.",
)
layout_option = click.option(
    "--layout",
    type=click.Choice(["tree", "packed", "tiled", "auto"]),
    default="tree",
    show_default=True,
    help="How the state is kept; tiled, parameters and gradients are, too.",
)
step_pipeline_option = pipeline_option(default="step", passes_of="of the step")
output_option = click.option("-o", "output", metavar="FILE", help="Where to write; default standard output.")
hyper_option = click.option(
    "--hyper",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another value of a hyperparameter, by its name in the IR, such as 1.learning_rate=1e-4; nothing is compiled "
    "again. May be given several times.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_SOURCE = (params_option, step_pipeline_option, backend_option, target_option, layout_option, examples_option)


def source_options(command: _F) -> _F:
    """The options of a command that `Source` takes."""
    for option in reversed(_SOURCE):
        command = option(command)
    return command


class CompileError(OptccError):
    """An optimizer that cannot be compiled for these parameters."""


@dataclass(frozen=True)
class Source:
    """An expression or a module, the parameters, and how it is compiled, as the command line gives them."""

    expression: str
    params: str
    pipeline: str = "step"
    backend: str = "auto"
    target: str | None = None
    layout: str = "tree"
    examples: int = 1
    hyper: tuple[str, ...] = ()
    passes: Sequence[ModulePass] = field(default=(), repr=False)

    @staticmethod
    def of(ctx: click.Context, expression: str, options: dict[str, Any]) -> Source:
        """What a command was given; takes its options out of `options`. Raises an OptccError for a bad pipeline."""
        names = ("params", "pipeline", "backend", "target", "layout", "examples", "hyper")
        given = {name: options.pop(name) for name in names if name in options}
        passes = passes_for(ctx, expression, given.get("pipeline", "step"))
        return Source(expression, passes=passes, **given)

    def load(self) -> tuple[Callable[[], CompiledOptimizer], Any]:
        """What compiles the source, and the shapes. Raises an OptccError for what cannot be read."""
        from optcc.params import load_params

        make, shapes = optimizer_or_module(self.expression), load_params(self.params)
        hypers = dict(map(_name_and_number, self.hyper))
        options = {"backend": self.backend, "layout": self.layout, "examples": self.examples, "target": self.target}

        def compiled() -> CompiledOptimizer:
            made = make(shapes, pipeline=self.passes, **options)
            return as_user_error(lambda: made.with_hyperparams(hypers)) if hypers else made

        return compiled, shapes


def _name_and_number(given: str) -> tuple[str, float]:
    """The two sides of `name=value`. Raises CompileError."""
    name, _, value = given.rpartition("=")
    try:
        return name, float(value)
    except ValueError:
        fix = "write the name and a number, as in --hyper 1.learning_rate=1e-4"
        raise CompileError(message(f"{value!r} is no number", f"--hyper {given}", fix)) from None


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

    def make(shapes: PyTree, *, examples: int, layout: str = "tree", **options: Any) -> CompiledOptimizer:
        del examples
        if layout != "tree":
            raise CompileError(message("the layout of a module is in its slots", "--layout", "leave --layout out"))
        return as_user_error(lambda: compile_module(text, shapes, **options))

    return make


def wide_enough(shapes: PyTree) -> AbstractContextManager[Any]:
    """64-bit types in JAX for as long as needed, for parameters that are float64."""
    import jax

    wide = any(leaf.dtype == "float64" for leaf in jax.tree.leaves(shapes))
    return jax.enable_x64(True) if wide else nullcontext()


def _parameters_of(tx: GradientTransformation, shapes: PyTree) -> Any:
    """The parameters that an optimizer takes: those given, or for lookahead fast and slow ones."""
    from optcc.base import LookaheadParams
    from optcc.formula.definition import Definition, definition_of

    def has_lookahead(definition: Definition) -> bool:
        return definition.name == "lookahead" or any(map(has_lookahead, definition.children))

    return LookaheadParams.init_synced(shapes) if has_lookahead(definition_of(tx)) else shapes


def _build(tx: GradientTransformation, shapes: PyTree, **options: Any) -> CompiledOptimizer:
    from optcc import compilation

    compiled = as_user_error(lambda: compilation.compile(tx, shapes, **options))
    as_user_error(lambda: compiled.program)
    return compiled


def as_user_error(work: Callable[[], _T]) -> _T:
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


def check_device() -> None:
    """Raises CompileError if JAX has no device to compile for."""
    import jax

    try:
        jax.devices()
    except RuntimeError as error:
        raise CompileError(message(str(error), "JAX", "set JAX_PLATFORMS=cpu")) from None
