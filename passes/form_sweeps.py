"""form-sweeps: gather the maps of one level into one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Combiner, JoinOp, MapOp, SplitOp, SweepOp, TreeType, YieldOp, argument_arrays, leaf_set
from optcc.passes.analysis.functions import argument_parts, functions, returned_arrays
from optcc.passes.analysis.levels import order_by_level
from optcc.passes.form_sweeps_copies import store_copies


@dataclass(frozen=True)
class FormSweeps(ModulePass):
    """Put the maps over elements of each level into one sweep, and say which arguments it overwrites.

    Before:  %new, %mu1 = optim.map over @all (%g, %p, %mu) -> (T, T) { .. }     return %new, %mu1
    After:   %new, %mu1 = optim.sweep writes ["params", "0.mu"] {
               %0, %1 = optim.map over @all (%g, %p, %mu) -> (T, T) { .. }  optim.yield %0, %1 } -> T, T

    A result overwrites the argument of the slot it is returned in, unless that argument is read by a later op or has
    another type; such a result gets an array of its own. It expects what `fuse-maps` leaves: one map for each leaf set
    and level. Maps that still share a level and leaves are left to separate sweeps. Rounding and traffic: unchanged.

    An argument that is returned in the slot of another one, which it would be copied to behind the sweeps, is stored by
    a map first (see `store_copies`). Traffic: the copy, which was XLA's, is the sweep's, which mostly reads it anyway.
    """

    name = "form-sweeps"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            _form(function)


def _form(function: FuncOp) -> None:
    level = order_by_level(function)
    if store_copies(function):
        level = order_by_level(function)
    waves: dict[tuple[int, int], list[MapOp]] = {}
    for op in function.body.block.ops:
        if isinstance(op, MapOp) and op.over_elements:
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
    body = Block()
    results = [result for op in maps for result in op.outputs]
    writes = [_target(function, result, maps) for result in results]
    sweep = SweepOp([r.type for r in results], writes, Region(body))
    parent.insert_op_before(sweep, maps[-1])
    for old, new in zip(results, sweep.outputs, strict=True):
        new.name_hint = old.name_hint
        old.replace_all_uses_with(new)
    for op in maps:
        op.detach()
        body.add_op(op)
    body.add_op(YieldOp(*results))


def _target(function: FuncOp, result: SSAValue, maps: Sequence[MapOp]) -> str:
    """The slot that a result may overwrite, or ""."""
    owner = result.owner
    assert isinstance(owner, MapOp)
    kinds: dict[SSAValue, Combiner] = dict(zip(owner.outputs, owner.kinds, strict=True))
    if kinds[result] is not Combiner.NONE or not isinstance(result.type, TreeType):
        return ""
    array = returned_arrays(function).get(result)
    argument = argument_parts(function).get((array, result.type))
    if array is None or argument is None:
        return ""
    order: dict[Operation, int] = {op: i for i, op in enumerate(function.body.block.ops)}
    whole = [a for a, other in zip(function.args, argument_arrays(function), strict=True) if other == array]
    read = any(_read_later(value, maps, order) for value in dict.fromkeys([argument, *whole]))
    return "" if read else str(array)


def _read_later(argument: SSAValue, maps: Sequence[MapOp], order: dict[Operation, int]) -> bool:
    """Whether an op after the sweep, or another map of it, or the caller, still sees the old value."""
    last = max(order[op] for op in maps)
    for use in argument.uses:
        user = use.operation
        if isinstance(user, ReturnOp):
            return True
        if isinstance(user, SplitOp):
            continue  # the parts are looked at themselves
        if isinstance(user, JoinOp) and _read_later(user.whole, maps, order):
            return True  # a join moves nothing, wherever it stands
        top = user.parent_op() if user not in order else user
        assert top is not None
        if user not in maps and order[top] > last:
            return True
    return False
