"""The cost model: sweeps and the bytes they move, beside the floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from optcc.dialect import CallOp, JoinOp, SplitOp, SweepOp, TreeType, argument_arrays, shapes_of
from optcc.passes.analysis.sizes import element_bytes


@dataclass(frozen=True)
class SweepCost:
    """Bytes that one sweep reads and writes, the arrays it makes anew, and what it waits for."""

    read: int
    written: int
    fresh: tuple[str, ...]
    waits_for: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes moved."""
        return self.read + self.written


@dataclass(frozen=True)
class Cost:
    """The sweeps of a function, its floor (every array touched once), and the number of parameters.

    `barriers` are the opaque calls, whose own traffic is not known.
    """

    sweeps: tuple[SweepCost, ...]
    floor: int
    parameters: int
    barriers: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes that all sweeps move."""
        return sum(sweep.bytes for sweep in self.sweeps)

    def per_parameter(self, count: int) -> float:
        """A number of bytes divided by the number of parameters."""
        return count / max(1, self.parameters)


def cost_of(function: FuncOp) -> Cost:
    """The cost of a function after `form-sweeps`."""
    ops = list(function.body.block.ops)
    sweeps = tuple(_sweep(op) for op in ops if isinstance(op, SweepOp))
    barriers = tuple(op.callee.data for op in ops if isinstance(op, CallOp))
    trees = [a for a in function.args if isinstance(a.type, TreeType) and a.type.has_elements]
    returned = next(op for op in ops if isinstance(op, ReturnOp)).arguments
    read = sum(tree_bytes(function, a) for a in trees if _is_computed_with(a))
    written = sum(tree_bytes(function, v) for v in returned if not isinstance(v, BlockArgument))
    names = {a: str(array) for a, array in zip(function.args, argument_arrays(function), strict=True)}
    # Gradients may have an axis of examples; parameters are not always there.
    counted = next((name for name in ("params", "params.fast") if name in {names[a] for a in trees}), "updates")
    parameters = sum(tree_bytes(function, a) // _width(a) for a in trees if names[a] == counted)
    return Cost(sweeps, read + written, parameters, barriers)


def _sweep(op: SweepOp) -> SweepCost:
    read = sum(tree_bytes(op, v) for m in op.maps for v in dict.fromkeys(m.inputs))
    written = sum(tree_bytes(op, result) for result in op.outputs)
    fresh = tuple(
        result.name_hint or f"result {i}"
        for i, result in enumerate(op.outputs)
        if i >= len(op.outs) and isinstance(result.type, TreeType) and result.type.has_elements
    )
    return SweepCost(read, written, fresh, _waits_for(op))


def _waits_for(op: SweepOp) -> tuple[str, ...]:
    """The reductions of earlier sweeps that this one needs, in words."""
    found: dict[str, None] = {}
    seen: set[Operation] = set()
    work: list[SSAValue] = list(op.operands)
    while work:
        value = work.pop()
        owner = value.owner
        if isinstance(owner, SweepOp) and not (isinstance(value.type, TreeType) and value.type.has_elements):
            found[f"a reduction over {_scope(value.type)}"] = None
        if isinstance(owner, Operation) and owner not in seen and not isinstance(owner, SweepOp):
            seen.add(owner)
            work += owner.operands
    return tuple(sorted(found))


def _scope(folded: Attribute) -> str:
    if not isinstance(folded, TreeType):
        return "the whole tree"
    return "each leaf" if folded.is_per_leaf else "axes of each leaf"


def tree_bytes(user: Operation, value: SSAValue) -> int:
    """Bytes of a value that has elements or an axis extent; 0 for a scalar or a per-leaf value."""
    type_ = value.type
    if not isinstance(type_, TreeType) or type_.is_per_leaf:
        return 0
    return element_bytes(type_.element) * sum(map(math.prod, shapes_of(user, type_)))


def _width(value: SSAValue) -> int:
    assert isinstance(value.type, TreeType)
    return element_bytes(value.type.element)


def _is_computed_with(value: SSAValue) -> bool:
    """Whether anything but the return uses a value, itself or a part of it."""
    for use in value.uses:
        if isinstance(use.operation, SplitOp | JoinOp):
            if any(_is_computed_with(r) for r in use.operation.results):
                return True
        elif not isinstance(use.operation, ReturnOp):
            return True
    return False
