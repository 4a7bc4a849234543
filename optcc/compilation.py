"""`compile`, apart from what it needs, so that importing optcc does not import the compiler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optcc import base
from optcc.errors import message
from optcc.formula.definition import definition_of

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

    from optcc.runtime.optimizer import CompiledOptimizer


def compile(  # noqa: A001
    tx: base.GradientTransformation,
    params: base.Params,
    *,
    backend: str = "auto",
    layout: str = "tree",
    target: None = None,
    examples: int = 1,
    pipeline: str | Sequence[ModulePass] = "step",
) -> CompiledOptimizer:
    """Compile a gradient transformation for parameters of given shapes and dtypes.

    Args:
      tx: an init/update pair of optcc, or of another library, which then stays opaque.
      params: a pytree of arrays or of ``jax.ShapeDtypeStruct``; only structure, shapes and dtypes are used.
      backend: ``"native"`` for optcc's own kernels on CPU, ``"stablehlo"`` for XLA's, ``"auto"`` for native ones where
        they are available; `CompiledOptimizer.report` says what each sweep runs on.
      layout: ``"tree"`` for states as Optax has them, ``"packed"`` for one array for each field and dtype, ``"auto"``
        to pack where an array for each leaf would cost more than its bytes.
      examples: how many examples the gradients have, for a ``tx`` that takes those of single examples.
      target: None, for the device that JAX runs on; other targets are not there yet.
      pipeline: the passes of `CompiledOptimizer.step`: as text, such as ``"my-pass,step"``, or a sequence of passes.
        `update` and `init` keep their own.

    Raises TypeError for a ``tx`` that is no pair and for parameters that are no real floats, and PipelineError for a
    pipeline that is malformed, or that `step` cannot do with.
    """
    if target is not None:
        raise NotImplementedError(message(f"target {target!r} is not supported yet", fix="leave target out"))
    from optcc.passes.registry import passes_of_step
    from optcc.program.arrays import shapes_of
    from optcc.runtime.optimizer import CompiledOptimizer

    return CompiledOptimizer(
        definition_of(tx),
        shapes_of(params),
        examples=examples,
        backend=backend,
        layout=layout,
        pipeline=passes_of_step(pipeline),
    )


def compile_module(
    text: str,
    params: base.Params,
    *,
    backend: str = "auto",
    pipeline: str | Sequence[ModulePass] = "",
) -> CompiledOptimizer:
    """Compile a module of the dialect, for instance one that `CompiledOptimizer.ir` gave and that was edited.

    The module has `@init` and `@update` with slots for all arguments and results. Its state is a tuple of arrays, in
    the order of the places in the slots.

    Args:
      text: the module.
      params: a pytree of arrays or of ``jax.ShapeDtypeStruct`` that fits the slots of the role `params`.
      backend: as in `compile`.
      pipeline: passes to run on the module first: none for the stage ``"sweeps"``, ``"step"`` for ``"optim"``.

    Raises SourceError for text that is no valid module, TreeMismatchError for other parameters, and ValueError for a
    module that cannot be run: without places, with an opaque call, or with hyperparameters that are not lifted.
    """
    from optcc.passes.registry import passes_of
    from optcc.program.arrays import shapes_of
    from optcc.program.text import check_runnable, program_of_text
    from optcc.runtime.optimizer import CompiledOptimizer

    shapes = shapes_of(params)
    program = program_of_text(text, shapes)
    compiled = CompiledOptimizer(program, shapes, backend=backend, pipeline=passes_of(pipeline) if pipeline else ())
    check_runnable(compiled.staged.program)
    return compiled
