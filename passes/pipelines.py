"""The registry of passes, the named pipelines, and running one with a look at every stage."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass, PassPipeline
from xdsl.transforms.common_subexpression_elimination import CommonSubexpressionElimination
from xdsl.transforms.dead_code_elimination import DeadCodeElimination
from xdsl.utils.exceptions import ArgSpecParseError, ParseError, VerifyException

from optcc.errors import PipelineError, did_you_mean, message
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
from optcc.passes.split_leaves import SplitLeaves

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
        SplitLeaves,
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


def parse_pipeline(text: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline such as `fuse-maps,cse` or `rematerialize{factor=1.0}`, or of a named pipeline.

    Raises PipelineError for an unknown pass, with the nearest names, and for options that a pass does not have.
    """
    parts = [part.strip() for part in re.split(r",(?![^{]*})", text)]
    if any(part in PIPELINES for part in parts):
        return tuple(p for part in parts for p in PIPELINES.get(part, ()) or parse_pipeline(part))
    known = {name: (lambda p=p: p) for name, p in PASSES.items()}
    try:
        return PassPipeline.parse_spec(known, text).passes
    except ValueError as error:
        names = [part.split("{")[0].strip() for part in text.split(",")]
        unknown = [name for name in names if name and name not in PASSES and "=" not in name and "}" not in name]
        if unknown:
            hint = did_you_mean(unknown[0], [*PASSES, *PIPELINES]) or "see `optcc list passes`"
            raise PipelineError(message(f"unknown pass {unknown[0]!r}", f"pipeline {text!r}", hint)) from None
        raise PipelineError(message(f"malformed pipeline: {error}", f"pipeline {text!r}")) from None
    except (ArgSpecParseError, ParseError, TypeError) as error:
        raise PipelineError(message(f"malformed pipeline: {error}", f"pipeline {text!r}")) from None


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
                raise VerifyException(f"after pass '{one.name}': {error}") from None
        if after_each is not None:
            after_each(Stage(one.name, module, seconds))
