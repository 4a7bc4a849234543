"""What a backend is: it emits a function of sweeps where JAX lowers the primitive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from jaxlib.mlir import ir
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from optcc.program.storage import Packing

Tensor: TypeAlias = Any
"""A value of the StableHLO module that JAX is building. The bindings of MLIR give the results of ops no one type."""
Value: TypeAlias = Any
"""A value of a function, as backends hold it: a `Tensor` for a scalar or a key, a list of them for a tree, one for each
leaf, or one of the forms of `optcc.lowering.packed_values`."""


@dataclass(frozen=True)
class Site:
    """The place in JAX's module where a function is emitted.

    `insert` puts a function op into the symbol table of `module`. `call` emits at the current place what the
    interpreter does for an op, traced and lowered by JAX; its operands are tensors and lists of tensors.
    """

    module: ir.Module
    insert: Callable[[Any], Any]
    call: Callable[[Operation, Sequence[Value]], Sequence[Value]]


class Backend(Protocol):
    """Emits functions into a StableHLO module."""

    def lower(
        self, function: FuncOp, arguments: Sequence[Value], packings: Sequence[Packing | None] = ()
    ) -> list[Value]:
        """Emit the body of a function at the current place; its results, lists of tensors for trees.

        An argument may be a `PackedView` or an `Element`; a result is one buffer where `packings` has a packing for it.
        Raises MissingRuleError for an op without a rule.
        """
        ...
