"""The phases of an update: how many reductions must be finished before an op can run."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from optcc.dialect import CallOp, Combiner, JoinOp, MapOp, ReduceOp, SplitOp, SweepOp, TreeType


def levels(function: FuncOp) -> dict[Operation, int]:
    """The level of every op of a function: the latest pass over memory that it can belong to.

    The result of a reduction, a call, a sweep, or of a split or join in the middle, is there one level after its
    operands. A map is put as late as its users allow, so that a value which only a later pass needs is computed there,
    not stored in between.
    """
    ops = [op for op in function.body.block.ops if not isinstance(op, ReturnOp)]
    earliest: dict[Operation, int] = {}
    for op in ops:
        earliest[op] = max((_ready(v, earliest) for v in op.operands), default=0)
    last = max(earliest.values(), default=0)
    latest: dict[Operation, int] = {}
    for op in reversed(ops):
        bound = last
        for result in op.results:
            for use in result.uses:
                user = use.operation
                if isinstance(user, ReturnOp):
                    continue
                bound = min(bound, latest[user] - _delay(result))
        latest[op] = bound if _movable(op) else earliest[op]
    return latest


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
        reduced = kinds[value] is not Combiner.NONE
        return int(reduced and owner.over_elements)
    if isinstance(owner, ReduceOp):
        return int(owner.tree.has_elements)
    if isinstance(owner, SplitOp | JoinOp):
        operands = owner.operands
        return int(any(not isinstance(v, BlockArgument) for v in operands))
    if isinstance(owner, CallOp):
        return int(any(isinstance(v.type, TreeType) for v in (*owner.arguments, *owner.outputs)))
    return int(isinstance(owner, SweepOp))
