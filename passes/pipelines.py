"""Our passes, the named pipelines, and running one with a look at every stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination
from xdsl.transforms.dead_code_elimination import DeadCodeElimination
from xdsl.utils.exceptions import VerifyException

from optcc.passes.analysis.verify import verify_module
from optcc.passes.apply_updates import ApplyUpdates
from optcc.passes.canonicalize import Canonicalize
from optcc.passes.form_sweeps import FormSweeps
from optcc.passes.fuse_maps import FuseMaps
from optcc.passes.fuse_reductions import FuseReductions
from optcc.passes.hoist_scalars import HoistScalars
from optcc.passes.lift_hyperparameters import LiftHyperparameters
from optcc.passes.move_reshapes import MoveReshapes
from optcc.passes.pack_slots import PackSlots
from optcc.passes.rematerialize import Rematerialize
from optcc.passes.schedule_levels import ScheduleLevels
from optcc.passes.shard import Shard
from optcc.passes.split_leaves import SplitLeaves
from optcc.passes.store_copies import StoreCopies

PASSES: dict[str, type[ModulePass]] = {
    p.name: p
    for p in (
        ApplyUpdates,
        Canonicalize,
        CommonSubexpressionElimination,
        DeadCodeElimination,
        FormSweeps,
        FuseMaps,
        FuseReductions,
        HoistScalars,
        LiftHyperparameters,
        MoveReshapes,
        PackSlots,
        Rematerialize,
        ScheduleLevels,
        Shard,
        SplitLeaves,
        StoreCopies,
    )
}

_TIDY: tuple[ModulePass, ...] = (Canonicalize(), CommonSubexpressionElimination())
_FUSE: tuple[ModulePass, ...] = (
    SplitLeaves(),
    *_TIDY,
    MoveReshapes(),
    FuseMaps(),
    FuseReductions(),
    FuseMaps(),
    Rematerialize(),
    *_TIDY,
    HoistScalars(),
    LiftHyperparameters(),
    Canonicalize(),
    ScheduleLevels(),
    StoreCopies(),
    ScheduleLevels(),
    FormSweeps(),
)

PIPELINES: dict[str, tuple[ModulePass, ...]] = {"update": _FUSE, "step": (ApplyUpdates(), *_FUSE)}
"""`update` keeps the updates as a result; `step` returns new parameters in their place."""


@dataclass(frozen=True)
class Stage:
    """What a pass made: its name, and the seconds it took."""

    name: str
    module: ModuleOp
    seconds: float


@dataclass(frozen=True)
class Run:
    """One run of a pass in a pipeline: the `number`-th of `total` runs of the pass of this name, counted from 1."""

    name: str
    number: int
    total: int

    def __str__(self) -> str:
        """The name, with the number behind it if there are several runs: `cse#2`."""
        return f"{self.name}#{self.number}" if self.total > 1 else self.name

    def is_named(self, text: str) -> bool:
        """Whether a text names this run: the pass alone names all its runs."""
        return text in (self.name, f"{self.name}#{self.number}")


def runs_of(passes: Sequence[ModulePass]) -> list[Run]:
    """The runs of a pipeline, in order."""
    names = [one.name for one in passes]
    return [Run(name, names[: i + 1].count(name), names.count(name)) for i, name in enumerate(names)]


def run_passes(
    module: ModuleOp,
    passes: Sequence[ModulePass],
    ctx: Context,
    *,
    verify_each: bool = False,
    after_each: Callable[[Stage], None] | None = None,
) -> None:
    """Run passes on a module, in place.

    `after_each` sees every stage as it is made. The module is verified at the end, and with `verify_each` after every
    pass; a failure names the pass. Raises VerifyException.
    """
    for i, one in enumerate(passes):
        start = time.perf_counter()
        one.apply(ctx, module)
        seconds = time.perf_counter() - start
        if verify_each or i == len(passes) - 1:
            try:
                verify_module(module)
            except VerifyException as error:
                alone = verify_each or len(passes) == 1
                place = f"pass '{one.name}'" if alone else "the pipeline (`verify_each` tells after which pass)"
                raise VerifyException(f"after {place}: {error}") from None
        if after_each is not None:
            after_each(Stage(one.name, module, seconds))
