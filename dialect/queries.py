"""What passes and backends ask about values and blocks, so that they need not know which op answers.

Values that splits and joins make of each other: `parts_of`, `whole_of`, `parts_made_of`, `wholes_made_of`. What a
map makes: `map_result`. The ops of a block, in order: `maps_in`, `reductions_in`, `reshapes_in`, `sweeps_of`. What a
program takes from outside: `hypers_in`, `calls_in`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, OpResult, SSAValue

from optcc.dialect.attributes import Combiner
from optcc.dialect.map import MapOp
from optcc.dialect.scalars import CallOp, HyperOp
from optcc.dialect.sweep import SweepOp
from optcc.dialect.trees import JoinOp, ReduceOp, ReshapeOp, SplitOp


@dataclass(frozen=True)
class MapResult:
    """A result of a map: the map, and the number of the result."""

    map: MapOp
    index: int

    @property
    def kind(self) -> Combiner:
        """How the map folds what its body yields; `none` for a value that is stored as it is."""
        return self.map.kinds[self.index]

    @property
    def is_stored(self) -> bool:
        """Whether the value is what the body yields, not a fold of it."""
        return self.kind is Combiner.NONE

    @property
    def yielded(self) -> SSAValue:
        """What the body yields for the result."""
        return self.map.yields.arguments[self.index]


def map_result(value: SSAValue) -> MapResult | None:
    """The map that makes a value; None for a value that no map makes."""
    if isinstance(value, OpResult) and isinstance(value.op, MapOp):
        return MapResult(value.op, value.index)
    return None


def maps_in(block: Block) -> list[MapOp]:
    """The maps that stand in a block; not those inside sweeps."""
    return [op for op in block.ops if isinstance(op, MapOp)]


def maps_reading(value: SSAValue) -> list[MapOp]:
    """The maps that have a value among their operands."""
    return [use.operation for use in value.uses if isinstance(use.operation, MapOp)]


def reductions_in(block: Block) -> list[ReduceOp]:
    """The reductions that stand in a block."""
    return [op for op in block.ops if isinstance(op, ReduceOp)]


def reductions_of(value: SSAValue) -> list[ReduceOp]:
    """The reductions of a value."""
    return [use.operation for use in value.uses if isinstance(use.operation, ReduceOp)]


def reshapes_in(block: Block) -> list[ReshapeOp]:
    """The reshapes that stand in a block."""
    return [op for op in block.ops if isinstance(op, ReshapeOp)]


def reshape_of(value: SSAValue) -> ReshapeOp | None:
    """The reshape that makes a value; None for a value that no reshape makes."""
    return value.owner if isinstance(value.owner, ReshapeOp) else None


def sweeps_of(function: FuncOp) -> list[SweepOp]:
    """The sweeps of a function."""
    return [op for op in function.body.block.ops if isinstance(op, SweepOp)]


def overwritten_by(op: Operation) -> Sequence[SSAValue]:
    """The values whose memory an op overwrites with its results: the outs of a sweep."""
    return tuple(op.outs) if isinstance(op, SweepOp) else ()


def parts_of(value: SSAValue) -> tuple[SSAValue, ...]:
    """The values that a join makes a value of; the value itself if no join makes it."""
    return tuple(value.owner.parts) if isinstance(value.owner, JoinOp) else (value,)


def whole_of(value: SSAValue) -> SSAValue:
    """The value that a split makes a value of; the value itself if no split makes it."""
    return value.owner.whole if isinstance(value.owner, SplitOp) else value


def parts_made_of(value: SSAValue) -> list[SSAValue]:
    """The values that splits make of a value."""
    return [part for use in value.uses if isinstance(use.operation, SplitOp) for part in use.operation.parts]


def wholes_made_of(value: SSAValue) -> list[SSAValue]:
    """The values that joins make of a value and others."""
    return [use.operation.whole for use in value.uses if isinstance(use.operation, JoinOp)]


def hypers_in(op: Operation) -> list[HyperOp]:
    """The hyperparameters that an op holds in its regions, such as a function or a module."""
    return [inner for inner in op.walk() if isinstance(inner, HyperOp)]


def calls_in(op: Operation) -> list[CallOp]:
    """The calls of opaque functions that an op holds in its regions."""
    return [inner for inner in op.walk() if isinstance(inner, CallOp)]
