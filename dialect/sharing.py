"""Which values are one array: `optim.split` and `optim.join` move nothing."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue

from optcc.dialect.attributes import Leaf
from optcc.dialect.leaves import leaf_set
from optcc.dialect.trees import JoinOp, SplitOp
from optcc.dialect.types import TreeType


def sharers(value: SSAValue) -> list[SSAValue]:
    """The values that hold elements of a tree in its own memory: first itself, then wholes, parts and joins of it.

    The leaves are followed, not the values only: two parts of one whole share nothing.
    """
    found = {value: frozenset[Leaf]()}
    work = [(value, _leaves(value))] if any(_neighbours(value)) else []
    while work:
        at, leaves = work.pop()
        if leaves <= found.get(at, frozenset[Leaf]()):
            continue
        found[at] = leaves | found.get(at, frozenset[Leaf]())
        work += [(near, shared) for near in _neighbours(at) if (shared := leaves & _leaves(near))]
    return list(found)


def is_argument_or_part(value: SSAValue) -> bool:
    """Whether a value is an argument of a function or what splits make of one."""
    while isinstance(value.owner, SplitOp):
        value = value.owner.whole
    return isinstance(value.owner, Block) and isinstance(value.owner.parent_op(), FuncOp)


def _neighbours(value: SSAValue) -> Iterator[SSAValue]:
    """The values one split or join away."""
    for op in (value.owner, *(use.operation for use in value.uses)):
        if isinstance(op, SplitOp | JoinOp):
            yield from (op.parts if op.whole is value else [op.whole])


def _leaves(value: SSAValue) -> frozenset[Leaf]:
    assert isinstance(value.type, TreeType)
    user = value.owner if isinstance(value.owner, Operation) else value.owner.parent_op()
    assert user is not None
    return frozenset(leaf_set(user, value.type.leaves))
