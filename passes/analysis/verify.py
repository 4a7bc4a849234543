"""What a module must be between passes: valid op by op, in order and in scope, with types and signatures that fit."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.builtin import ComplexType, Float80Type, Float128Type, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.traits import IsolatedFromAbove
from xdsl.utils.exceptions import VerifyException

from optcc.dialect import element_type, verify_signature
from optcc.passes.analysis.functions import functions


class OpError(VerifyException):
    """An op that is not valid, though its own verifier takes it."""

    def __init__(self, op: Operation, text: str) -> None:
        super().__init__(text)
        self.op = op


def verify_module(module: ModuleOp) -> None:
    """Verify every op, that values are defined and in scope where they are used, their types, and all slots.

    Raises VerifyException; for order, scope and types it is an OpError.
    """
    module.verify()
    verify_order(module)
    _verify_types(module)
    for function in functions(module):
        verify_signature(function)


def verify_order(module: ModuleOp) -> None:
    """Check that every value is defined before it is used and in scope there, which xDSL's verifier does not.

    A value is in scope in the block that defines it, behind its definition, and in the regions of the ops there, but
    for regions of ops that are isolated from above. Raises OpError.
    """
    for region in module.regions:
        _verify_region(region, set())


def _verify_region(region: Region, outside: set[SSAValue]) -> None:
    for block in region.blocks:
        known = {*outside, *block.args}
        for op in block.ops:
            for operand in op.operands:
                if operand not in known:
                    raise OpError(op, f"'{op.name}' uses {_described(operand)}")
            isolated = op.has_trait(IsolatedFromAbove, value_if_unregistered=False)
            for inner in op.regions:
                _verify_region(inner, set() if isolated else known)
            known.update(op.results)


def _described(value: SSAValue) -> str:
    if isinstance(value.owner, Operation):
        return f"a result of '{value.owner.name}' before it is defined, or out of its scope"
    parent = value.owner.parent_op()
    return f"an argument of the block of '{parent.name if parent else 'no op'}' out of its scope"


def _verify_types(module: ModuleOp) -> None:
    """Check that no number is of 80 or 128 bits: neither XLA nor numpy has these. Raises OpError."""
    for op in module.walk():
        types = [*op.operand_types, *op.result_types, *(t for r in op.regions for b in r.blocks for t in b.arg_types)]
        if isinstance(op, FuncOp):
            types += [*op.function_type.inputs, *op.function_type.outputs]
        for type_ in types:
            if any(isinstance(part, Float80Type | Float128Type) for part in _parts(type_)):
                raise OpError(op, f"'{op.name}' has a value of type {type_}; the widest float is f64")


def _parts(type_: Attribute) -> Iterator[Attribute]:
    number = element_type(type_)
    yield next(iter(number.parameters)) if isinstance(number, ComplexType) else number
