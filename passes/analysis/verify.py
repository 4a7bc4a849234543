"""What a module must be between passes: valid op by op, in order, with signatures that fit."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.utils.exceptions import VerifyException

from optcc.dialect import verify_signature
from optcc.passes.analysis.functions import functions


def verify_module(module: ModuleOp) -> None:
    """Verify every op, the order of definitions and uses, and the slots of every function. Raises VerifyException."""
    module.verify()
    verify_order(module)
    for function in functions(module):
        verify_signature(function)


def verify_order(module: ModuleOp) -> None:
    """Check that every value is defined before it is used, which xDSL's verifier does not within a block.

    Raises VerifyException.
    """
    position: dict[Operation, int] = {}
    for i, op in enumerate(module.walk()):
        position[op] = i
        for operand in op.operands:
            if isinstance(operand.owner, Operation) and position.get(operand.owner, i) >= i:
                raise VerifyException(f"'{op.name}' uses a result of '{operand.owner.name}' before it is defined")
