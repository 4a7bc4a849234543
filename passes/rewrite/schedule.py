"""Bringing the ops of a function into the order of the passes over memory."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from optcc.passes.analysis.functions import return_of
from optcc.passes.analysis.levels import levels, sorted_by_level


def schedule(function: FuncOp) -> dict[Operation, int]:
    """Sort the ops of a function by level, so that the maps of a level stand side by side; the levels."""
    level = levels(function)
    terminator = return_of(function)
    for op in sorted_by_level(function, level):
        op.detach()
        function.body.block.insert_op_before(op, terminator)
    return level
