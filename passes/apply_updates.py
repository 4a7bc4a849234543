"""apply-updates: return new parameters in the place of updates."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import AnyFloat, ComplexType, ModuleOp, f32, f64
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from optcc.dialect import (
    MapOp,
    Role,
    TreeType,
    YieldOp,
    argument_arrays,
    argument_slots,
    element_type,
    result_arrays,
    result_slots,
    set_signature,
)
from optcc.passes.analysis.functions import functions, return_of
from optcc.passes.rewrite.state_slots import converted


@dataclass(frozen=True)
class ApplyUpdates(ModulePass):
    """Fold `params + updates` into every function that returns updates and has the parameters as an argument.

    Before:  func.func @update(.., %p: T {slot = <params>}) -> (T {slot = <updates>}, ..) { .. return %u, .. }
    After:   func.func @update(.., %p: T {slot = <params>}) -> (T {slot = <params>}, ..) {
               %new = optim.map over @all (%u = %u : T, %p = %p : T) -> (T) { %0 = arith.addf %p, %u  .. }
               return %new, .. }

    The sum is taken in float32 where the updates or the parameters are narrower, and rounded once, to the dtype of the
    parameters. Trees of integers raise PassFailedException.
    A function without the parameters as an argument is left alone. Traffic: the updates are not written.
    """

    name = "apply-updates"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            _apply(function)


def _apply(function: FuncOp) -> None:
    terminator = return_of(function)
    slots, arrays = argument_slots(function), argument_arrays(function)
    params = {array: i for i, array in enumerate(arrays) if array is not None and array.role is Role.PARAMS}
    operands: list[SSAValue] = list(terminator.operands)
    returned = result_slots(function)
    for i, array in enumerate(result_arrays(function)):
        target = params.get(array._replace(role=Role.PARAMS)) if array and array.role is Role.UPDATES else None
        if target is None:
            continue
        for value in (operands[i], function.args[target]):
            if not isinstance(element_type(value.type), AnyFloat | ComplexType):
                what = f"@{function.sym_name.data} has updates or parameters of type {value.type}, which are no floats"
                raise PassFailedException(f"{what}: leave them out of the slots")
        new = _sum(operands[i], function.args[target])
        function.body.block.insert_op_before(new, terminator)
        new.outputs[0].name_hint = "params"
        operands[i] = new.outputs[0]
        returned[i] = slots[target]
    terminator.operands = operands
    set_signature(function, slots, returned)


def _complex_sum(update: SSAValue, param: SSAValue) -> MapOp:
    type_ = param.type
    assert isinstance(type_, TreeType)
    block = Block(arg_types=[type_.element, type_.element])
    block.args[0].name_hint, block.args[1].name_hint = "u", "p"
    total = complex_dialect.AddOp(block.args[1], block.args[0])
    block.add_ops([total, YieldOp(total.result)])
    return MapOp(type_.leaves, [update, param], [type_], Region(block))


def _sum(update: SSAValue, param: SSAValue) -> MapOp:
    types = (update.type, param.type)
    assert all(isinstance(t, TreeType) for t in types)
    elements = [t.element for t in types if isinstance(t, TreeType)]
    if isinstance(elements[0], ComplexType):
        return _complex_sum(update, param)
    wide: Attribute = f64 if f64 in elements else f32
    block = Block(arg_types=elements)
    block.args[0].name_hint, block.args[1].name_hint = "u", "p"

    total = arith.AddfOp(converted(block, block.args[1], wide), converted(block, block.args[0], wide))
    block.add_op(total)
    block.add_op(YieldOp(converted(block, total.result, elements[1])))
    assert isinstance(param.type, TreeType)
    return MapOp(param.type.leaves, [update, param], [param.type], Region(block))
