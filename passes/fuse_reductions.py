"""fuse-reductions: reduce inside the map that makes the values."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import MapOp, ReduceOp, map_result, maps_in, reductions_in, reductions_of
from optcc.passes.analysis.functions import functions
from optcc.passes.rewrite.map_draft import MapDraft


@dataclass(frozen=True)
class FuseReductions(ModulePass):
    """Make every reduction a combined result of a map: of the one that makes its operand, else of one of its own.

    Before:  %a = optim.map over @all (%x = %g : T) -> (T) { %0 = arith.mulf %x, %x  optim.yield %0 }
             %s = optim.reduce <add> %a : T -> f32
    After:   %s = optim.map over @all (%x = %g : T) -> (f32 by <add>) { %0 = arith.mulf %x, %x  optim.yield %0 }

    A map that only fills, and so takes its extent from its result, is left alone. Rounding: unchanged, but the order
    of a fold is the map's. Traffic: a tree that is only reduced is no longer written and read.
    """

    name = "fuse-reductions"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            for reduction in reductions_in(function.body.block):
                made = map_result(reduction.operand)
                if made is None or not made.is_stored:
                    _wrap(reduction)
            for producer in maps_in(function.body.block):
                _fuse(producer)


def _wrap(op: ReduceOp) -> None:
    """Reduce a value that no map makes in a map of its own."""
    draft = MapDraft(op.tree.leaves)
    draft.result(draft.operand(op.operand), op.result.type, op.combiner.data)
    fused = draft.finish()
    parent = op.parent
    assert parent is not None
    parent.insert_op_before(fused, op)
    _replace(op, fused.outputs[0])


def _fuse(producer: MapOp) -> None:
    # A fold that is reduced further stays: what the body yields for it is not the fold.
    stored = [r for r in producer.outputs if (made := map_result(r)) is not None and made.is_stored]
    reductions = [(result.index, reduction) for result in stored for reduction in reductions_of(result)]
    if not reductions:
        return
    users = [op for _, op in reductions]
    keep = [i for i, r in enumerate(producer.outputs) if any(use.operation not in users for use in r.uses)]
    draft = MapDraft.with_operands_of(producer)
    values = draft.inline(producer)
    yielded = [values[v] for v in producer.yields.arguments]
    for i in keep:
        draft.result(yielded[i], producer.outputs[i].type, producer.kinds[i], producer.outputs[i].name_hint)
    for i, op in reductions:
        draft.result(yielded[i], op.result.type, op.combiner.data)
    fused = draft.finish()
    if fused.domain != producer.domain:
        fused.erase()
        return
    parent = producer.parent
    assert parent is not None
    parent.insert_op_before(fused, producer)
    for new, i in zip(fused.outputs, keep, strict=False):
        producer.outputs[i].replace_all_uses_with(new)
    for new, op in zip(fused.outputs[len(keep) :], users, strict=True):
        _replace(op, new)
    producer.detach()
    producer.erase()


def _replace(op: ReduceOp, value: SSAValue) -> None:
    value.name_hint = op.result.name_hint
    op.result.replace_all_uses_with(value)
    op.detach()
    op.erase()
