"""How leaf values move through splits and joins: the same for arrays and for values of another IR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from xdsl.ir import Attribute, Operation

from optcc.dialect import JoinOp, Leaf, SplitOp, TreeType, leaf_set

T = TypeVar("T")


def split_values(op: SplitOp, whole: Sequence[T]) -> list[list[T]]:
    """The leaf values of each part, from those of the whole."""
    by_leaf = dict(zip(_leaves(op, op.whole.type), whole, strict=True))
    return [[by_leaf[leaf] for leaf in _leaves(op, type_)] for type_ in op.parts.types]


def join_values(op: JoinOp, parts: Sequence[Sequence[T]]) -> list[T]:
    """The leaf values of the whole, from those of each part."""
    by_leaf: dict[Leaf, T] = {}
    for part, values in zip(op.parts, parts, strict=True):
        by_leaf.update(zip(_leaves(op, part.type), values, strict=True))
    return [by_leaf[leaf] for leaf in _leaves(op, op.whole.type)]


def _leaves(op: Operation, type_: Attribute) -> tuple[Leaf, ...]:
    assert isinstance(type_, TreeType)
    return leaf_set(op, type_.leaves)
