"""Bringing the ops of a function into the order of the passes over memory."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from optcc.passes.analysis.functions import refuse_sweeps, return_of
from optcc.passes.analysis.levels import levels, sorted_by_level


def schedule(function: FuncOp) -> dict[Operation, int]:
    """Sort the ops of a function by level, so that the maps of a level stand side by side; the levels.

    Raises PassFailedException where that would move ops around sweeps.
    """
    level = levels(function)
    terminator = return_of(function)
    ordered = sorted_by_level(function, level)
    if ordered != list(function.body.block.ops)[:-1]:
        refuse_sweeps(function, "what changes the order of ops")
    for op in ordered:
        op.detach()
        function.body.block.insert_op_before(op, terminator)
    return level
