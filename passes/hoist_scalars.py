"""hoist-scalars: step-level arithmetic once a step, leaf-level arithmetic once a leaf."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Extent, MapOp, TreeType, maps_in
from optcc.passes.analysis.functions import body_ops, functions, slice_of
from optcc.passes.rewrite.clone import clone_ops
from optcc.passes.rewrite.map_draft import MapDraft


@dataclass(frozen=True)
class HoistScalars(ModulePass):
    """Move what does not depend on an element out of the bodies of maps.

    Before:  optim.map over @all (%x = %g : T, %a = %lr : f32, %b = %c : f32) -> (T) {
               %0 = arith.mulf %a, %b  %1 = arith.mulf %x, %0  optim.yield %1 }
    After:   %0 = arith.mulf %lr, %c
             optim.map over @all (%x = %g : T, %a = %0 : f32) -> (T) { %1 = arith.mulf %x, %a  optim.yield %1 }

    What depends on per-leaf values too goes into a map over leaves in front. Constants stay. Rounding and traffic:
    unchanged.
    """

    name = "hoist-scalars"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            for inner in maps_in(function.body.block):
                rest = _hoist(inner, per_leaf=False)
                if rest.domain != Extent.PER_LEAF:
                    _hoist(rest, per_leaf=True)


def _hoist(op: MapOp, *, per_leaf: bool) -> MapOp:
    """Compute the values that depend on scalars only, or on scalars and per-leaf values, before the map.

    Returns the map that is there then.
    """
    invariant: dict[SSAValue, None] = {
        argument: None
        for argument, operand in zip(op.block.args, op.inputs, strict=True)
        if not isinstance(operand.type, TreeType) or (per_leaf and operand.type.is_per_leaf)
    }
    constants: set[SSAValue] = set()
    hoisted: list[Operation] = []
    for inner in body_ops(op):
        if isinstance(inner, arith.ConstantOp):
            constants.add(inner.result)
            continue
        known = [v in invariant for v in inner.operands]
        if any(known) and all(k or v in constants for k, v in zip(known, inner.operands, strict=True)):
            hoisted.append(inner)
            invariant.update(dict.fromkeys(inner.results))
    moved = set(hoisted)
    live = [
        result
        for inner in hoisted
        for result in inner.results
        if any(use.operation not in moved for use in result.uses)
    ]
    if not live:
        return op
    outside = _per_leaf_values(op, live) if per_leaf else _step_values(op, live)
    draft = MapDraft.with_operands_of(op)
    operands: dict[SSAValue, SSAValue] = {
        v: draft.operand(value, v.name_hint) for v, value in zip(live, outside, strict=True)
    }
    draft.results_of(op, draft.inline(op, roots=op.yields.arguments, known=operands))
    return draft.replace(op)


def _step_values(op: MapOp, live: Sequence[SSAValue]) -> list[SSAValue]:
    values: dict[SSAValue, SSAValue] = dict(zip(op.block.args, op.inputs, strict=True))
    scratch = Block()
    clone_ops(slice_of(live, values, op.block), scratch, values)
    parent = op.parent
    assert parent is not None
    for inner in list(scratch.ops):
        inner.detach()
        parent.insert_op_before(inner, op)
    return [values[v] for v in live]


def _per_leaf_values(op: MapOp, live: Sequence[SSAValue]) -> list[SSAValue]:
    draft = MapDraft(op.leaves)
    values = draft.inline(op, roots=live)
    for v in live:
        draft.result(values[v], TreeType.of(v.type, op.leaves, Extent.PER_LEAF), name=v.name_hint)
    new = draft.finish()
    parent = op.parent
    assert parent is not None
    parent.insert_op_before(new, op)
    return list(new.outputs)
