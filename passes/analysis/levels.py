"""The phases of an update: how many reductions must be finished before an op can run."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from optcc.dialect import (
    CallOp,
    Combiner,
    Extent,
    JoinOp,
    MapOp,
    PackOp,
    ReduceOp,
    ReshapeOp,
    SplitOp,
    SweepOp,
    TreeType,
    UnpackOp,
)


def levels(function: FuncOp) -> dict[Operation, int]:
    """The level of every op of a function: the latest pass over memory that it can belong to.

    The result of a reduction, a call, a sweep, or of a split, join or reshape in the middle, is there one level after
    its operands. A map is put as late as its users allow, so that a value which only a later pass needs is computed
    there, not stored in between.
    """
    ops = [op for op in function.body.block.ops if not isinstance(op, ReturnOp)]
    earliest: dict[Operation, int] = {}
    for op in ops:
        earliest[op] = max((_ready(v, earliest) for v in op.operands), default=0)
    # Step-level arithmetic on a reduction's result is no further pass over memory, nor is giving it another shape.
    moves = (SplitOp, JoinOp, *_MOVES)
    visits = (level for op, level in earliest.items() if _touches_elements(op) and not isinstance(op, moves))
    last = max(visits, default=0)
    latest: dict[Operation, int] = {}
    for op in reversed(ops):
        bound = max(last, earliest[op])
        for result in op.results:
            for use in result.uses:
                user = use.operation
                if isinstance(user, ReturnOp):
                    continue
                bound = min(bound, latest[user] - _delay(result))
        latest[op] = bound if _movable(op) else earliest[op]
    return latest


def order_by_level(function: FuncOp) -> dict[Operation, int]:
    """Sort the ops of a function by level, so that the maps of a level stand side by side; the levels."""
    block = function.body.block
    level = levels(function)
    position = {op: i for i, op in enumerate(block.ops)}
    terminator = block.last_op
    assert isinstance(terminator, ReturnOp)
    for op in sorted(level, key=lambda op: (level[op], _rank(op), position[op])):
        op.detach()
        block.insert_op_before(op, terminator)
    return level


_MOVES = (ReshapeOp, PackOp, UnpackOp)
"""Ops that give values another shape."""


_PER_LEAF, _AXES, _ELEMENTS, _AFTER = 1.0, 2.0, 3.0, 4.0


def _rank(op: Operation) -> float:
    """The order within a level: step arithmetic, maps from coarse extents to fine ones, what uses their results.

    A value of a coarse extent is broadcast to a finer one within a level; the other way it takes a reduction.
    """
    if isinstance(op, SweepOp):
        return _ELEMENTS
    if isinstance(op, MapOp):
        depth = op.domain.count(".")
        ranks: dict[str, float] = {Extent.ELEMENTS: _ELEMENTS, Extent.PER_LEAF: _PER_LEAF}
        return ranks.get(op.domain, _AXES - depth / 100)
    if isinstance(op, ReduceOp):
        return _AFTER if op.tree.has_elements else _AXES + 0.5
    if isinstance(op, CallOp):
        return _AFTER * _touches_elements(op)
    if isinstance(op, (SplitOp, JoinOp, *_MOVES)):
        return _AFTER * any(isinstance(v.owner, Operation) for v in op.operands)
    return 0


def _touches_elements(op: Operation) -> bool:
    """Whether an op reads or writes arrays element by element."""
    if isinstance(op, MapOp):
        return op.over_elements
    return any(isinstance(v.type, TreeType) and v.type.has_elements for v in (*op.operands, *op.results)) or isinstance(
        op, SweepOp
    )


def _movable(op: Operation) -> bool:
    """Whether an op may be put later than its operands allow: not if it is the start of a barrier."""
    return not isinstance(op, CallOp | SweepOp)


def _ready(value: SSAValue, level: dict[Operation, int]) -> int:
    if isinstance(value, BlockArgument):
        return 0
    assert isinstance(value.owner, Operation)
    return level[value.owner] + _delay(value)


def _delay(value: SSAValue) -> int:
    """How many levels after its op a result is there."""
    owner = value.owner
    if isinstance(owner, MapOp):
        kinds: dict[SSAValue, Combiner] = dict(zip(owner.outputs, owner.kinds, strict=True))
        return int(kinds[value] is not Combiner.NONE)
    if isinstance(owner, ReduceOp):
        return 1
    if isinstance(owner, (SplitOp, JoinOp, *_MOVES)):
        operands = owner.operands
        return int(any(not isinstance(v, BlockArgument) for v in operands))
    if isinstance(owner, CallOp):
        return int(_touches_elements(owner))
    return int(isinstance(owner, SweepOp))
