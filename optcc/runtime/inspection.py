"""What can be looked at of a compiled optimizer: its IR at every stage, what XLA and LLVM make of it, its report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import jax

from optcc import base
from optcc.formula.definition import Definition
from optcc.pass_through import as_given
from optcc.program.placement import Placement
from optcc.program.program import Function, Program
from optcc.runtime.artifacts import Artifacts
from optcc.runtime.stages import Staged
from optcc.targets import Target

if TYPE_CHECKING:
    from optcc.report import Report
    from optcc.runtime.optimizer import CompiledOptimizer
    from optcc.verify import Verification


class Inspectable:
    """The part of `CompiledOptimizer` that runs nothing."""

    backend: str
    target: Target | None
    _made: Artifacts

    def __repr__(self) -> str:
        shapes = [leaf.shape for leaf in jax.tree.leaves(self._made.params)]
        source = self._made.source
        name = _described(source) if isinstance(source, Definition) else "a module"
        target = f", target={self.target.name!r}" if self.target else ""
        return (
            f"<CompiledOptimizer of {name}: {sum(map(math.prod, shapes)):,} parameters in {len(shapes):,} leaves, "
            f"backend={self.backend!r}, layout={self._made.asked_layout!r}{target}>"
        )

    @property
    def params(self) -> base.Params:
        """Shapes and dtypes of the parameters compiled for."""
        return as_given(self._made.params)

    def ir(self, stage: str = "sweeps") -> str:
        """The IR of `init` and `step` at a stage: ``"optim"`` (as built), the name of a pass, or ``"sweeps"``.

        Raises ValueError for another stage.
        """
        return f"{self.staged.module(stage)!s}\n"

    def stablehlo(self) -> str:
        """The StableHLO of `step`, for the target, by default the device that JAX runs on."""
        return self.lowered.as_text()

    def hlo(self) -> str:
        """The HLO of `step` after XLA's optimization."""
        text = self.executable.as_text()
        assert text is not None
        return text

    def llvm(self) -> str:
        """The LLVM IR of the native kernels of `step`, after optimization for this machine."""
        return "\n".join(kernel.optimized for kernel in self._kernels)

    def asm(self) -> str:
        """The machine code of the native kernels of `step`, as text."""
        return "\n".join(kernel.assembly for kernel in self._kernels)

    def report(self, *, xla: bool = True) -> Report:
        """Sweeps, bytes against the floor, arrays, kernels, aliasing and temporaries of `step`.

        ``print`` shows it as text, a notebook as HTML; `Report.as_dict` and `to_json` give its fields. ``xla=False``
        compiles nothing and leaves out what only XLA's executable tells. Raises TargetError where the compiler of the
        target is not installed.
        """
        from optcc.report import make_report

        return make_report(cast("CompiledOptimizer", self), xla=xla)

    def verify(self, *, steps: int = 10, seed: int = 0) -> Verification:
        """Compare every backend and layout with the interpreter, on ordinary and on special values, leaf by leaf.

        True if all agree; ``print`` shows the largest difference of each, and what disagrees. Runs on the device that
        JAX runs on, on arrays of the sizes compiled for. Raises TypeError for an optimizer that needs extra arguments.
        """
        from optcc.verify import verify

        return verify(cast("CompiledOptimizer", self), steps=steps, seed=seed)

    @property
    def _kernels(self) -> list[Any]:
        from optcc.lowering.native.calls import kernels_of
        from optcc.lowering.native.llvm import compile_source

        if self.backend == "stablehlo":
            return []
        return [compile_source(kernel.source) for kernel in kernels_of(self._made.final.step.op)]

    @property
    def staged(self) -> Staged:
        """The program of `init` and `step` with all its stages."""
        return self._made.staged

    @property
    def source(self) -> Definition | Program:
        """What was compiled: a definition, or a program that was given as a module."""
        return self._made.source

    @property
    def grads(self) -> base.Updates:
        """Shapes and dtypes of the gradients compiled for."""
        return as_given(self._made.grads)

    @property
    def program(self) -> Program:
        """The program of `init` and `update`, as built, before any pass."""
        return self._made.program

    @property
    def lowered(self) -> Any:
        """`step`, traced and lowered by JAX."""
        return self._made.lowered

    @property
    def executable(self) -> Any:
        """`step`, compiled by XLA."""
        return self._made.executable

    @property
    def placement(self) -> Placement | None:
        """The mesh that the parameters compiled for are on, and how they are split; None where they do not say."""
        return self._made.placement

    @property
    def per_device(self) -> Function | str | None:
        """The step that each device runs on its parts of the arrays, or why XLA partitions it; None without a mesh."""
        return None if self.placement is None or self.target else self._made.per_device

    @property
    def donated_bytes(self) -> int:
        """Bytes of state and parameters on one device, which `step` is given and gives back; packed, with gaps."""
        return self._made.donated_bytes


def _described(definition: Definition) -> str:
    """The names in a chain, without their arguments."""
    children = ", ".join(map(_described, definition.children))
    return f"{definition.name}({children})" if children else definition.name
