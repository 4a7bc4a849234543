"""Which operand's array each result of a sweep's maps overwrites."""

from __future__ import annotations

from xdsl.dialects import func
from xdsl.ir import SSAValue

from optcc.dialect import SplitOp, SweepOp, argument_arrays


def overwritten_operands(sweep: SweepOp) -> list[list[int | None]]:
    """For each map of a sweep and each of its results the operand that it overwrites, or None."""
    slots = _slot_of_values(sweep)
    targets = dict(zip(sweep.yields.arguments, (name.data for name in sweep.writes), strict=True))
    found: list[list[int | None]] = []
    for op in sweep.maps:
        names = [slots.get(v) for v in op.inputs]
        found.append([names.index(slot) if (slot := targets.get(r)) and slot in names else None for r in op.outputs])
    return found


def _slot_of_values(sweep: SweepOp) -> dict[SSAValue, str]:
    """The slot that each argument of the function, or part of one, is the array of."""
    function = sweep.parent_op()
    assert isinstance(function, func.FuncOp)
    arrays = zip(function.args, argument_arrays(function), strict=True)
    slots: dict[SSAValue, str] = {argument: str(array) for argument, array in arrays if array is not None}
    for op in function.body.block.ops:
        if isinstance(op, SplitOp) and op.whole in slots:
            slots.update(dict.fromkeys(op.parts, slots[op.whole]))
    return slots
