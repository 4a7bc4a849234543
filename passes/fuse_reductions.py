"""fuse-reductions: reduce inside the map that makes the values."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Region, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Combiner, MapOp, ReduceOp, YieldOp
from optcc.passes.analysis.functions import body_ops, clone_ops, functions, make_map


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
            for inner in list(function.body.block.ops):
                if isinstance(inner, ReduceOp) and not _is_element_of_map(inner.operand):
                    _wrap(inner)
            for inner in list(function.body.block.ops):
                if isinstance(inner, MapOp):
                    _fuse(inner)


def _is_element_of_map(value: SSAValue) -> bool:
    """Whether a map yields this value as it is, not combined."""
    owner = value.owner
    if not isinstance(owner, MapOp):
        return False
    kinds: dict[SSAValue, Combiner] = dict(zip(owner.outputs, owner.kinds, strict=True))
    return kinds[value] is Combiner.NONE


def _wrap(op: ReduceOp) -> None:
    """Reduce a value that no map makes in a map of its own."""
    block = Block(arg_types=[op.tree.element])
    block.add_op(YieldOp(*block.args))
    fused = MapOp(op.tree.leaves, [op.operand], [op.result.type], Region(block), [op.combiner.data])
    _replace(op, fused.outputs[0], fused)


def _fuse(producer: MapOp) -> None:
    reductions = [
        (i, use.operation)
        for i, (result, kind) in enumerate(zip(producer.outputs, producer.kinds, strict=True))
        if kind is Combiner.NONE
        for use in result.uses
        if isinstance(use.operation, ReduceOp)
    ]
    if not reductions:
        return
    users = [op for _, op in reductions]
    keep = [i for i, r in enumerate(producer.outputs) if any(use.operation not in users for use in r.uses)]
    block = Block(arg_types=producer.block.arg_types)
    values: dict[SSAValue, SSAValue] = dict(zip(producer.block.args, block.args, strict=True))
    for old, new in zip(producer.block.args, block.args, strict=True):
        new.name_hint = old.name_hint
    clone_ops(body_ops(producer), block, values)
    picked = [*keep, *(i for i, _ in reductions)]
    types = [producer.outputs[i].type for i in keep] + [op.result.type for op in users]
    kinds = [producer.kinds[i] for i in keep] + [op.combiner.data for op in users]
    yielded = [values[producer.yields.arguments[i]] for i in picked]
    fused = make_map(producer, producer.inputs, block, yielded, types, kinds)
    if fused.domain != producer.domain:
        fused.erase()
        return
    parent = producer.parent
    assert parent is not None
    parent.insert_op_before(fused, producer)
    for new, i in zip(fused.outputs, keep, strict=False):
        new.name_hint = producer.outputs[i].name_hint
        producer.outputs[i].replace_all_uses_with(new)
    for new, op in zip(fused.outputs[len(keep) :], users, strict=True):
        _replace(op, new)
    producer.detach()
    producer.erase()


def _replace(op: ReduceOp, value: SSAValue, new: MapOp | None = None) -> None:
    parent = op.parent
    assert parent is not None
    if new is not None:
        parent.insert_op_before(new, op)
    value.name_hint = op.result.name_hint
    op.result.replace_all_uses_with(value)
    op.detach()
    op.erase()
