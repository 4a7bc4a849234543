"""fuse-maps: one map for each leaf set and level."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Combiner, MapOp, maps_in
from optcc.passes.analysis.functions import functions, refuse_sweeps
from optcc.passes.rewrite.map_draft import MapDraft
from optcc.passes.rewrite.schedule import schedule

Group = tuple[Attribute, str, int]


@dataclass(frozen=True)
class FuseMaps(ModulePass):
    """Fuse the maps over one leaf set that can run in one pass over memory, producers with users and side by side.

    Before:  %a = optim.map over @all (%x = %g : T) -> (T) { %0 = arith.mulf %x, %x  optim.yield %0 }
             %b = optim.map over @all (%x = %a : T, %y = %p : T) -> (T) { %0 = arith.addf %x, %y  optim.yield %0 }
    After:   %b = optim.map over @all (%x = %g : T, %y = %p : T) -> (T) {
               %0 = arith.mulf %x, %x  %1 = arith.addf %0, %y  optim.yield %1 }

    Maps with a reduction, a call or a split between them stay apart. A value that only a later level needs is computed
    there. The ops come out in the order of `schedule-levels`. Rounding: unchanged. Traffic: intermediate trees are no
    longer written and read.
    """

    name = "fuse-maps"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            _fuse(function)


def _fuse(function: FuncOp) -> None:
    level = schedule(function)
    groups: dict[Group, list[MapOp]] = {}
    for op in maps_in(function.body.block):
        groups.setdefault(_group(op, level), []).append(op)
    for members in groups.values():
        if len(members) > 1:
            refuse_sweeps(function, FuseMaps.name)
            _merge(members)


def _group(op: MapOp, level: dict[Operation, int]) -> Group:
    return op.leaves, op.domain, level[op]


def _merge(members: list[MapOp]) -> None:
    """Replace maps by one at the place of the last, which computes all results that are used elsewhere."""
    inside = set(members)
    draft = MapDraft(members[-1].leaves)
    made: dict[SSAValue, SSAValue] = {}
    results: list[SSAValue] = []
    for op in members:
        arguments = zip(op.block.args, op.inputs, strict=True)
        local = draft.inline(op, known={inner: made[operand] for inner, operand in arguments if operand in made})
        for result, value, kind in zip(op.outputs, op.yields.arguments, op.kinds, strict=True):
            if kind is Combiner.NONE:
                made[result] = local[value]
            if kind is not Combiner.NONE or any(use.operation not in inside for use in result.uses):
                results.append(result)
                draft.result(local[value], result.type, kind, result.name_hint)
    merged = draft.finish()
    if merged.domain != members[0].domain:
        # All that gave the maps their extent is a tree that one of them fills.
        merged.erase()
        return
    parent = members[-1].parent
    assert parent is not None
    parent.insert_op_after(merged, members[-1])
    for old, new in zip(results, merged.outputs, strict=True):
        old.replace_all_uses_with(new)
    for op in reversed(members):
        op.detach()
        op.erase(safe_erase=False)
