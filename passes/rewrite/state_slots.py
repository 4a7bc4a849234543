"""Changing how a slot of the state is stored, in all functions of a module together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects import arith
from xdsl.dialects.builtin import AnyFloat, ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.traits import SymbolTable

from optcc.dialect import (
    MapOp,
    Role,
    Slot,
    TreeType,
    YieldOp,
    argument_slots,
    result_slots,
    set_signature,
)
from optcc.passes.analysis.functions import functions, return_of

FROM_OPTAX, TO_OPTAX = "from_optax", "to_optax"
"""The functions that take a state as Optax has it to the state that is stored, and back."""


def retype_state(module: ModuleOp, element: AnyFloat, selects: Callable[[Slot], bool]) -> None:
    """Store the float trees of the state that `selects` picks with another element type.

    Every function of the module reads the stored values widened, or rounded, to the type it computes in, and stores
    them rounded once. `@from_optax` and `@to_optax` are the conversions of a whole state; they are added to the module
    with the first change of its state.
    """
    if not any(_is_picked(slot, type_, element, selects) for _, slot, type_ in _state(module)):
        return
    _add_conversions(module)
    for function in functions(module):
        name = function.sym_name.data
        slots = argument_slots(function)
        for argument, slot in zip(function.args, slots, strict=True):
            if name != FROM_OPTAX and _is_picked(slot, argument.type, element, selects):
                _read_as_before(function, argument, element)
        terminator = return_of(function)
        operands: list[SSAValue] = []
        for value, slot in zip(terminator.arguments, result_slots(function), strict=True):
            picked = name != TO_OPTAX and _is_picked(slot, value.type, element, selects)
            operands.append(_converted(value, element, before=terminator) if picked else value)
        results = result_slots(function)
        terminator.operands = operands
        set_signature(function, slots, results)


def _state(module: ModuleOp) -> list[tuple[FuncOp, Slot, Attribute]]:
    """The state's slots among the arguments and results of every function."""
    found: list[tuple[FuncOp, Slot, Attribute]] = []
    for function in functions(module):
        types = function.function_type
        for slots, side in ((argument_slots(function), types.inputs), (result_slots(function), types.outputs)):
            pairs = zip(slots, side, strict=True)
            found += [(function, s, t) for s, t in pairs if s is not None and s.role is Role.STATE]
    return found


def _is_picked(slot: Slot | None, type_: Attribute, element: AnyFloat, selects: Callable[[Slot], bool]) -> bool:
    if slot is None or slot.role is not Role.STATE or not isinstance(type_, TreeType):
        return False
    return isinstance(type_.element, AnyFloat) and type_.element != element and selects(slot)


def _add_conversions(module: ModuleOp) -> None:
    """Add `@from_optax` and `@to_optax`, which at first return the state as it is."""
    if SymbolTable.lookup_symbol(module, FROM_OPTAX) is not None:
        return
    whole = next(f for f in functions(module) if any(s and s.role is Role.STATE for s in argument_slots(f)))
    pairs = zip(argument_slots(whole), whole.args, strict=True)
    state = [(slot, argument) for slot, argument in pairs if slot is not None and slot.role is Role.STATE]
    for name in (FROM_OPTAX, TO_OPTAX):
        block = Block(arg_types=[argument.type for _, argument in state])
        for new, (_, argument) in zip(block.args, state, strict=True):
            new.name_hint = argument.name_hint
        block.add_op(ReturnOp(*block.args))
        function = FuncOp(name, ((), ()), Region(block))
        module.body.block.add_op(function)
        slots: Sequence[Slot] = [slot for slot, _ in state]
        set_signature(function, slots, slots)


def _read_as_before(function: FuncOp, argument: SSAValue, element: AnyFloat) -> None:
    """Give an argument another element type, and all that used it the old one."""
    old = argument.type
    assert isinstance(old, TreeType)
    assert isinstance(old.element, AnyFloat)
    block = function.body.block
    new = block.insert_arg(old.with_element(element), argument.index)  # type: ignore[attr-defined]
    new.name_hint = argument.name_hint
    first = block.first_op
    assert first is not None
    argument.replace_all_uses_with(_converted(new, old.element, before=first))
    block.erase_arg(argument)  # type: ignore[arg-type]


def _converted(value: SSAValue, element: AnyFloat, before: Operation) -> SSAValue:
    """A tree with another element type, by a map in front of an op."""
    type_ = value.type
    assert isinstance(type_, TreeType)
    block = Block(arg_types=[type_.element])
    block.args[0].name_hint = value.name_hint
    block.add_op(YieldOp(converted(block, block.args[0], element)))
    op = MapOp(type_.leaves, [value], [type_.with_element(element)], Region(block))
    parent = before.parent
    assert parent is not None
    parent.insert_op_before(op, before)
    op.outputs[0].name_hint = value.name_hint
    return op.outputs[0]


def converted(block: Block, value: SSAValue, type_: Attribute) -> SSAValue:
    """A float with another type, by an op at the end of a block; the value itself if it has the type."""
    if value.type == type_:
        return value
    assert isinstance(value.type, AnyFloat)
    assert isinstance(type_, AnyFloat)
    op = (arith.ExtFOp if value.type.bitwidth < type_.bitwidth else arith.TruncFOp)(value, type_)
    block.add_op(op)
    return op.results[0]
