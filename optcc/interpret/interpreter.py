"""The reference interpreter: evaluates a function of the IR in jax.numpy, at any stage of the pipeline.

A tree is a list of arrays, one for each leaf of its set; a per-leaf tree a list of 0-d arrays; a scalar a 0-d array,
or a number of numpy as long as only hyperparameters are involved. Everything is traceable by JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import IsTerminator, SymbolTable

from optcc.rules import Rules

Array: TypeAlias = jax.Array | np.ndarray | np.number | np.bool
Value: TypeAlias = Array | Sequence[Array]
Callables: TypeAlias = Mapping[str, Callable[..., Sequence[Value]]]
"""The functions that `optim.call` names."""


class Run:
    """One evaluation: the values so far, and what the names in the module stand for.

    With `on_host`, outside of any trace, an array of one number is numpy's, and a view; what nobody needs is not
    computed.
    """

    def __init__(self, bindings: Mapping[str, Array], callables: Callables, *, on_host: bool = False) -> None:
        self.bindings = bindings
        self.callables = callables
        self.on_host = on_host
        self._values: dict[SSAValue, Value] = {}

    def block(self, block: Block, arguments: Sequence[Value] = ()) -> list[Value]:
        """Run a block, which may use what was computed before it; the values of its terminator."""
        values = self._values
        values.update(zip(block.args, arguments, strict=True))
        for op in _needed(block) if self.on_host else block.ops:
            operands = [values[v] for v in op.operands]
            if op.has_trait(IsTerminator):
                return operands
            values.update(zip(op.results, self.operation(op, operands), strict=True))
        raise ValueError("the block has no terminator")

    def operation(self, op: Operation, operands: Sequence[Value]) -> Sequence[Value]:
        """The results of one op. Raises MissingRuleError for an op without a rule."""
        return INTERPRETER.run(self, op, operands)


def _needed(block: Block) -> list[Operation]:
    """The ops that the results of a block depend on."""
    found: list[Operation] = []
    used: set[SSAValue] = set()
    for op in reversed(list(block.ops)):
        if op.has_trait(IsTerminator) or any(result in used for result in op.results):
            found.append(op)
            used.update(v for inner in op.walk() for v in inner.operands)
    return found[::-1]


def _as_scalar(value: Value) -> Array:
    assert not isinstance(value, Sequence)
    return value


INTERPRETER: Rules[Run, Value, Array] = Rules("the interpreter", "optcc.interpret.INTERPRETER", _as_scalar)
"""How each op is evaluated. Rules are registered here, also those of ops that optcc does not have."""


def evaluate(
    module: ModuleOp,
    name: str,
    arguments: Sequence[Value],
    *,
    bindings: Mapping[str, Array] | None = None,
    callables: Callables | None = None,
) -> list[Any]:
    """Run the function `name` of a module.

    `bindings` gives values to hyperparameters, over their defaults; `callables` the functions that `optim.call` names.
    Raises KeyError for a function, a callee or an unbound hyperparameter that is not there, and MissingRuleError for an
    op without a rule.
    """
    function = SymbolTable.lookup_symbol(module, name)
    if not isinstance(function, FuncOp):
        raise KeyError(f"the module has no function @{name}")
    return Run(bindings or {}, callables or {}).block(function.body.block, arguments)


def evaluate_op(op: Operation, operands: Sequence[Value], callables: Callables | None = None) -> Sequence[Value]:
    """The results of one op that has no regions which use values from above."""
    return Run({}, callables or {}).operation(op, operands)
