"""store-copies: a map stores what a function returns of its own arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, SymbolRefAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.transforms.dead_code_elimination import is_trivially_dead

from optcc.dialect import Array, JoinOp, TreeType, argument_arrays, maps_in, parts_of, result_arrays, whole_of
from optcc.passes.analysis.functions import argument_parts, functions, return_of
from optcc.passes.rewrite.map_draft import MapDraft


@dataclass(frozen=True)
class _Copy:
    """A result of the function, or a part of it, that is the argument `value` and goes to the slot that holds `old`."""

    result: int
    value: SSAValue
    old: SSAValue
    leaves: SymbolRefAttr


@dataclass(frozen=True)
class StoreCopies(ModulePass):
    """Let a map store every argument, or part of one, that is returned in the slot of another.

    Before:  %new = optim.map over @all (%x = %g : T, %q = %old, %p = %p) -> (T) { ..  optim.yield %0 }
             return %new, %g : T {slot = "params"}, T {slot = "old"}
    After:   %new, %old1 = optim.map over @all (%x = %g : T, %q = %old, %p = %p) -> (T, T) { ..  optim.yield %0, %x }
             return %new, %old1

    Outside a map the copy would be XLA's, which overwrites the slot while its old value is still needed and keeps
    another copy of that. The map is the last one over these leaves that reads what is copied or what is overwritten: an
    earlier one would leave reads of the old value behind it. All copies of a leaf set go into one map, since one may
    overwrite what another copies. Which map is last is a matter of the order: `schedule-levels` comes before, and
    after. Rounding: unchanged. Traffic: the copy is the sweep's, which mostly reads the values anyway.
    """

    name = "store-copies"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            copies = _copies(function)
            stored: dict[tuple[int, SSAValue], SSAValue] = {}
            for leaves in dict.fromkeys(copy.leaves for copy in copies):
                members = [copy for copy in copies if copy.leaves == leaves]
                results = _store(function, leaves, members)
                stored.update({(copy.result, copy.value): new for copy, new in zip(members, results, strict=True)})
            _return(function, stored)


def _copies(function: FuncOp) -> list[_Copy]:
    arrays: dict[SSAValue, Array | None] = dict(zip(function.args, argument_arrays(function), strict=True))
    parts = argument_parts(function)
    found: list[_Copy] = []
    for i, (array, returned) in enumerate(zip(result_arrays(function), return_of(function).arguments, strict=True)):
        for value in parts_of(returned):
            source = whole_of(value)
            old = parts.get((array, value.type)) if array else None
            if old is None or arrays.get(source, array) == array:
                continue
            if isinstance(value.type, TreeType) and value.type.has_elements:
                found.append(_Copy(i, value, old, value.type.leaves))
    return found


def _store(function: FuncOp, leaves: SymbolRefAttr, copies: Sequence[_Copy]) -> Sequence[SSAValue]:
    """Store copies of one leaf set, in the order given, in the map that reads them last, else in one of its own."""
    block = function.body.block
    for copy in copies:
        split = copy.value.owner
        if isinstance(split, Operation):
            # It splits an argument, so it may stand before any map.
            split.detach()
            block.insert_op_before(split, block.ops.first or return_of(function))
    maps = [op for op in maps_in(block) if op.over_elements and op.leaves == leaves]
    touched = {copy.value for copy in copies} | {copy.old for copy in copies}
    readers = [op for op in maps if not touched.isdisjoint(op.inputs)] or maps
    draft = MapDraft.with_operands_of(readers[-1]) if readers else MapDraft(leaves)
    if readers:
        draft.results_of(readers[-1], draft.inline(readers[-1]))
    for copy in copies:
        draft.result(draft.operand(copy.value), copy.value.type, name=copy.old.name_hint)
    if readers:
        return draft.replace(readers[-1]).outputs[-len(copies) :]
    new = draft.finish()
    block.insert_op_before(new, return_of(function))
    return new.outputs


def _return(function: FuncOp, stored: dict[tuple[int, SSAValue], SSAValue]) -> None:
    """Return what was stored in the place of the arguments."""
    terminator = return_of(function)
    operands = list(terminator.arguments)
    for i in dict.fromkeys(result for result, _ in stored):
        returned = operands[i]
        new = [stored.get((i, value), value) for value in parts_of(returned)]
        if parts_of(returned) == (returned,):
            operands[i] = new[0]
            continue
        again = JoinOp(new, returned.type)
        again.whole.name_hint = returned.name_hint
        function.body.block.insert_op_before(again, terminator)
        operands[i] = again.whole
    dropped = [value for value in terminator.arguments if value not in operands]
    terminator.operands = operands
    for value in dropped:
        if isinstance(join := value.owner, Operation) and is_trivially_dead(join):
            join.detach()
            join.erase()
