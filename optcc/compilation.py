"""`compile`, apart from what it needs, so that importing optcc does not import the compiler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from optcc import base
from optcc.base import PyTree
from optcc.formula.definition import definition_of
from optcc.pass_through import set_aside

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

    from optcc.runtime.optimizer import CompiledOptimizer


def compile(  # noqa: A001
    tx: base.GradientTransformation,
    params: base.Params,
    *,
    backend: str = "auto",
    layout: str = "tree",
    target: str | None = None,
    shard_state: str | None = None,
    examples: int = 1,
    pipeline: str | Sequence[ModulePass] = "step",
    extra_args: Mapping[str, PyTree] | None = None,
    grads: base.Updates | None = None,
) -> CompiledOptimizer:
    """Compile a gradient transformation for parameters of given shapes and dtypes.

    Args:
      tx: an init/update pair of optcc, or of another library, which then stays opaque.
      params: a pytree of arrays or of ``jax.ShapeDtypeStruct``; structure, shapes and dtypes are used, and shardings if
        all leaves have a ``NamedSharding`` on one mesh: `hlo` and `report` are then of that mesh.
      backend: ``"native"`` for optcc's own kernels on CPU, ``"stablehlo"`` for XLA's, ``"auto"`` for native ones where
        they are available; `CompiledOptimizer.report` says what each sweep runs on.
      layout: ``"tree"`` for states as Optax has them, ``"packed"`` for one array for each field and dtype,
        ``"tiled"`` for such arrays in which each leaf starts a tile, for accelerators; ``"auto"`` to pack where an
        array for each leaf would cost more than its bytes.
      examples: how many examples the gradients have, for a ``tx`` that takes those of single examples.
      target: what `hlo`, `stablehlo`, `executable` and `report` are of: by default the device that JAX runs on,
        ``"cpu"``, or a card that need not be there, such as ``"cuda:h100"`` or ``"tpu:v5e"``. Running is not affected.
      shard_state: an axis of the mesh that the parameters are on, over which the state is split, too (ZeRO): each array
        along its first axis that can be cut into as many equal parts. Parameters stay as they are. On each device the
        step computes its part of them, which are then gathered.
      pipeline: the passes of the step: as text, such as ``"my-pass,step"``, or a sequence of passes. `update` runs the
        same ones but `apply-updates`.
      extra_args: what `step` will be given beside gradients, state and parameters, by name: pytrees of arrays or of
        ``jax.ShapeDtypeStruct``. Only reports need it; a step with other extra arguments is compiled when it is met.

      grads: a pytree of arrays or of ``jax.ShapeDtypeStruct`` with the dtypes of the gradients, by default those of the
        parameters. Only reports need it; a step with gradients of other dtypes is compiled when it is met.

    Raises TypeError for a ``tx`` that is no pair, for a hyperparameter that is no number and for parameters that are no
    real floats unless they are masked, TreeMismatchError for ``grads`` of other shapes, PipelineError for a pipeline
    that is malformed, or that `step` cannot do with, TargetError for an unknown target, and ShardingError for a packed
    layout of parameters that are not sharded alike, and for a ``shard_state`` that is no axis of their mesh. Where the
    compiler for a target is not installed, the methods that need it raise TargetError.
    """
    from optcc.passes.registry import passes_of_step
    from optcc.program.arrays import shapes_of
    from optcc.program.placement import placement_of, with_sharded_state
    from optcc.runtime.optimizer import CompiledOptimizer

    computed = set_aside(params)
    placement = placement_of(computed)
    if shard_state is not None:
        placement = with_sharded_state(placement, shard_state, computed)
    return CompiledOptimizer(
        definition_of(tx),
        shapes_of(computed),
        placement=placement,
        examples=examples,
        backend=backend,
        layout=layout,
        pipeline=passes_of_step(pipeline),
        extra_args=shapes_of(dict(extra_args)) if extra_args else None,
        grads=grads,
        target=target,
    )


def compile_module(
    text: str,
    params: base.Params,
    *,
    backend: str = "auto",
    pipeline: str | Sequence[ModulePass] = "",
    target: str | None = None,
) -> CompiledOptimizer:
    """Compile a module of the dialect, for instance one that `CompiledOptimizer.ir` gave and that was edited.

    The module has `@init` and `@update` with slots for all arguments and results. Its state is a tuple of arrays, in
    the order of the places in the slots.

    Args:
      text: the module.
      params: a pytree of arrays or of ``jax.ShapeDtypeStruct`` that fits the slots of the role `params`.
      backend: as in `compile`.
      pipeline: passes to run on the module first: none for the stage ``"sweeps"``, ``"step"`` for ``"optim"``.
      target: as in `compile`.

    Raises SourceError for text that is no valid module, TreeMismatchError for other parameters, and ValueError for a
    module that cannot be run: without places, with an opaque call, or with hyperparameters that are not lifted.
    """
    from optcc.passes.registry import passes_of
    from optcc.program.arrays import shapes_of
    from optcc.program.text import check_runnable, program_of_text
    from optcc.runtime.optimizer import CompiledOptimizer

    shapes = shapes_of(params)
    program = program_of_text(text, shapes)
    passes = passes_of(pipeline) if pipeline else ()
    compiled = CompiledOptimizer(program, shapes, backend=backend, pipeline=passes, target=target)
    check_runnable(compiled.staged.program)
    return compiled
