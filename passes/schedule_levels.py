"""schedule-levels: bring the ops of a function into the order of the passes over memory."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from optcc.passes.analysis.functions import functions
from optcc.passes.rewrite.schedule import schedule


@dataclass(frozen=True)
class ScheduleLevels(ModulePass):
    """Sort the ops of every function by level, so that what can run in one pass over memory stands side by side.

    Before:  %n = map (%g) -> (f32 by <add>)   %mu1 = map (%g, %mu)   %s = sqrt %n   %new = map (%mu1, %s)
    After:   %n = map (%g) -> (f32 by <add>)   %s = sqrt %n   %mu1 = map (%g, %mu)   %new = map (%mu1, %s)

    A level is as late as its users allow (see `levels`). Within one, step-level arithmetic comes first, then maps over
    leaves, over axes and over elements. Rounding and traffic: unchanged.
    """

    name = "schedule-levels"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            schedule(function)
