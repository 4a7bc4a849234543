"""Which op of the IR makes a leaf of a result, and what a program may differ by."""

from __future__ import annotations

from xdsl.ir import Operation, SSAValue

from optcc.dialect import Combiner, Role, sweeps_of
from optcc.program.program import Function
from optcc.verify.compare import Tolerance

_EXACT = {"math.sqrt", "math.absf"}
"""Functions of elements that every backend rounds alike."""


def tolerance_of(function: Function) -> Tolerance:
    """What a function may differ by: after reductions and library functions more, and behind comparisons anything."""
    maps = [op for sweep in sweeps_of(function.op) for op in sweep.maps]
    bodies = [inner for op in maps for inner in op.block.ops]
    folds = any(kind is not Combiner.NONE for op in maps for kind in op.kinds)
    called = any(op.name.startswith("math.") and op.name not in _EXACT for op in bodies)
    return Tolerance(folds or called, any(op.name == "arith.cmpf" for op in bodies))


def origin_of(function: Function, role: Role, leaf: int) -> str:
    """Where a leaf of a result comes from: the sweep, and the op that makes its elements, with its location."""
    returned = function.op.body.block.last_op
    assert returned is not None
    for binding, value in zip(function.signature.outputs, returned.operands, strict=True):
        if binding.slot.role is role and leaf in binding.places:
            return _made_by(function, value)
    return ""


def _made_by(function: Function, value: SSAValue) -> str:
    for number, sweep in enumerate(sweeps_of(function.op)):
        for inside, result in zip(sweep.yields.arguments, sweep.outputs, strict=True):
            if result is value:
                found = [m.yields.arguments[m.outputs.index(inside)] for m in sweep.maps if inside in m.outputs]
                return f"sweep {number}, {_op_text(found[0])}" if found else f"sweep {number}"
    return _op_text(value)


def _op_text(value: SSAValue) -> str:
    op = value.owner
    if not isinstance(op, Operation):
        return "an argument"
    return op.name if "unknown" in str(op.location) else f"{op.name} {op.location}"
