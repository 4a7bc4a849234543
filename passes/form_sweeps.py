"""form-sweeps: gather the maps of one level into one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from optcc.dialect import (
    MapOp,
    SweepOp,
    TreeType,
    YieldOp,
    leaf_set,
    map_result,
    maps_in,
    overwritten_by,
    sharers,
)
from optcc.dialect.interfaces import Regroups
from optcc.passes.analysis.functions import argument_parts, functions, returned_arrays
from optcc.passes.analysis.levels import levels, sorted_by_level


@dataclass(frozen=True)
class FormSweeps(ModulePass):
    """Put the maps over elements of each level into one sweep, and say which arguments it overwrites.

    Before:  %new, %mu1 = optim.map over @all (%g, %p, %mu) -> (T, T) { .. }     return %new, %mu1
    After:   %new, %mu1 = optim.sweep ins(%x = %g) outs(%y = %p, %m = %mu) -> (T, T) {
               %0, %1 = optim.map over @all (%x, %y, %m) -> (T, T) { .. }  optim.yield %0, %1 }

    A result overwrites the argument of the slot it is returned in, unless that argument is read by a later op or has
    another type; such a result gets an array of its own, and comes after all that overwrite. It expects what
    `fuse-maps` leaves: one map for each leaf set and level. Maps that still share a level and leaves are left to
    separate sweeps. The order decides what is read later, so ops that are not in the order of `schedule-levels` raise
    PassFailedException. Rounding and traffic: unchanged.
    """

    name = "form-sweeps"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            _form(function)


def _form(function: FuncOp) -> None:
    level = levels(function)
    if sorted_by_level(function, level) != list(function.body.block.ops)[:-1]:
        name = function.sym_name.data
        raise PassFailedException(f"the ops of @{name} are not in the order of their levels: run schedule-levels first")
    waves: dict[tuple[int, int], list[MapOp]] = {}
    for op in maps_in(function.body.block):
        if op.over_elements:
            before = [turn for (at, turn), maps in waves.items() if at == level[op] and _apart(op, maps)]
            waves.setdefault((level[op], max(before, default=-1) + 1), []).append(op)
    for _, maps in sorted(waves.items(), key=lambda item: item[0]):
        _gather(function, maps)


def _apart(op: MapOp, maps: Sequence[MapOp]) -> bool:
    """Whether a map cannot share a sweep with others: it uses their results or visits their leaves."""
    if any(value.owner in maps for value in op.inputs):
        return True
    return any(
        other.leaves == op.leaves or not set(leaf_set(other, other.leaves)).isdisjoint(leaf_set(op, op.leaves))
        for other in maps
    )


def _gather(function: FuncOp, maps: Sequence[MapOp]) -> None:
    parent = function.body.block
    results = [result for op in maps for result in op.outputs]
    targets: dict[SSAValue, SSAValue] = {}
    for result in results:
        target = _target(function, result, maps)
        if target is not None and target not in targets.values():
            targets[result] = target
    results.sort(key=lambda result: result not in targets)
    outs = list(targets.values())
    ins = [v for v in dict.fromkeys(v for op in maps for v in op.inputs) if v not in outs]
    body = Block(arg_types=[v.type for v in (*ins, *outs)])
    sweep = SweepOp(ins, outs, [r.type for r in results], Region(body))
    parent.insert_op_before(sweep, maps[-1])
    inside: dict[SSAValue, SSAValue] = dict(zip((*ins, *outs), body.args, strict=True))
    for outer, argument in inside.items():
        argument.name_hint = outer.name_hint
    for old, new in zip(results, sweep.outputs, strict=True):
        new.name_hint = old.name_hint
        old.replace_all_uses_with(new)
    for op in maps:
        op.detach()
        op.operands = [inside[v] for v in op.inputs]
        body.add_op(op)
    body.add_op(YieldOp(*results))


def _target(function: FuncOp, result: SSAValue, maps: Sequence[MapOp]) -> SSAValue | None:
    """The argument, or the part of one, that a result may overwrite."""
    made = map_result(result)
    if made is None or not made.is_stored or not isinstance(result.type, TreeType):
        return None
    array = returned_arrays(function).get(result)
    argument = argument_parts(function).get((array, result.type))
    if array is None or argument is None:
        return None
    order: dict[Operation, int] = {op: i for i, op in enumerate(function.body.block.ops)}
    last = max(order[op] for op in maps)
    held = sharers(argument)
    if any(_stays(value, use.operation, order, last) for value in held for use in value.uses):
        return None
    # A kernel knows by its operand that it reads what it overwrites, so it may not read that as another value, too.
    return None if any(value in made.map.inputs for value in held[1:]) else argument


def _stays(value: SSAValue, user: Operation, order: dict[Operation, int], last: int) -> bool:
    """Whether an op needs a value as it is: one that comes later, the caller, or a sweep that overwrites it itself."""
    if user.has_trait(Regroups):
        return False  # splits and joins move nothing, wherever they stand; their results are looked at themselves
    return order[user] > last or value in overwritten_by(user)
