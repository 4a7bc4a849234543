"""Copies of scalar ops in another block."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Block, Operation, SSAValue


def clone_ops(ops: Sequence[Operation], target: Block, values: dict[SSAValue, SSAValue]) -> None:
    """Append copies of scalar ops to `target`, with operands looked up in `values`, where the results are added."""
    for op in ops:
        copy = op.clone(values)
        target.add_op(copy)
        for old, new in zip(op.results, copy.results, strict=True):
            values[old] = new
            new.name_hint = old.name_hint
