"""The rules by which StableHLO is emitted for each op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from xdsl.ir import Operation

from optcc.dialect import MapOp
from optcc.lowering.backend import Site, Tensor, Value
from optcc.lowering.packed_values import as_leaves
from optcc.rules import Rules


class Lowering(Protocol):
    """What runs a function by rules, and what they may ask it."""

    @property
    def site(self) -> Site:
        """The place in JAX's module."""
        ...

    def map(self, op: MapOp, operands: Sequence[Value], overwritten: Sequence[int | None]) -> list[Value]:
        """The results of a map; `overwritten[i]` is the operand whose array result i takes."""
        ...


STABLEHLO: Rules[Lowering, Value, Tensor] = Rules("StableHLO", "optcc.lowering.stablehlo.STABLEHLO", as_leaves)
"""How each op is emitted, on every backend that has no rule of its own for it. Rules are registered here, also those of
ops that optcc does not have.

A rule gets a list of tensors, one for each leaf, of a tree that `as_leaves` was called on. Before it, the tree may have
another form.
"""


def by_interpreter(lowering: Lowering, op: Operation, operands: Sequence[Value]) -> Sequence[Value]:
    """The rule of an op for which the interpreter's rule is good enough: JAX traces it and lowers the trace."""
    return lowering.site.call(op, [as_leaves(v) for v in operands])
