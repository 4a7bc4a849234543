"""The phases of an update: how many reductions must be finished before an op can run."""

from __future__ import annotations

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from optcc.dialect.interfaces import level_of


def levels(function: FuncOp) -> dict[Operation, int]:
    """The level of every op of a function: the latest pass over memory that it can belong to.

    Reductions, calls and sweeps add one level, and so does a split, join or reshape in the middle: each op says so by
    the trait `Level`. A map is put as late as its users allow, so that a value which only a later pass needs is
    computed there, not stored in between. Raises VerifyException for an op on trees without that trait.
    """
    ops = [op for op in function.body.block.ops if not isinstance(op, ReturnOp)]
    traits = {op: level_of(op) for op in ops}
    earliest: dict[Operation, int] = {}
    for op in ops:
        earliest[op] = max((_ready(v, earliest) for v in op.operands), default=0)
    # Step-level arithmetic on a reduction's result is no further pass over memory, nor is giving it another shape.
    last = max((level for op, level in earliest.items() if traits[op].touches_elements(op)), default=0)
    latest: dict[Operation, int] = {}
    for op in reversed(ops):
        bound = max(last, earliest[op])
        for result in op.results:
            for use in result.uses:
                user = use.operation
                if isinstance(user, ReturnOp):
                    continue
                bound = min(bound, latest[user] - traits[op].delay(op, result))
        latest[op] = bound if traits[op].is_movable(op) else earliest[op]
    return latest


def sorted_by_level(function: FuncOp, level: dict[Operation, int]) -> list[Operation]:
    """The ops of a function by level, and in each level by the turn that their trait `Level` says; else as they are."""
    position = {op: i for i, op in enumerate(function.body.block.ops)}
    return sorted(level, key=lambda op: (level[op], level_of(op).turn(op), position[op]))


def _ready(value: SSAValue, level: dict[Operation, int]) -> int:
    if isinstance(value, BlockArgument):
        return 0
    assert isinstance(value.owner, Operation)
    return level[value.owner] + level_of(value.owner).delay(value.owner, value)
