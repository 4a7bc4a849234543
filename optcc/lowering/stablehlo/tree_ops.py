"""The rules of StableHLO for the ops on trees and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute, SSAValue

from optcc.dialect import (
    AllReduceOp,
    CallOp,
    CountOp,
    JoinOp,
    MapOp,
    PackOp,
    RandomOp,
    ReduceOp,
    ReshapeOp,
    SplitKeyOp,
    SplitOp,
    SweepOp,
    TreeType,
    UnpackOp,
    element_type,
    leaf_set,
    shapes_of,
)
from optcc.lowering.backend import Tensor, Value
from optcc.lowering.packed_values import PackedView, as_leaves
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.registry import STABLEHLO, Lowering, by_interpreter
from optcc.lowering.stablehlo.scalar_ops import constant, tensor, vector_constant
from optcc.program.split_join import join_values, split_values

EmitMap = Callable[[MapOp, Sequence[Value], Sequence[int | None]], list[Value]]

STABLEHLO.register(AllReduceOp, CallOp, RandomOp, SplitKeyOp)(by_interpreter)


@STABLEHLO.register(SweepOp)
def _sweep(lowering: Lowering, op: SweepOp, operands: Sequence[Value]) -> Sequence[Value]:
    return emit_sweep(op, operands, lowering.map)


def emit_sweep(op: SweepOp, operands: Sequence[Value], emit_map: EmitMap) -> list[Value]:
    """The results of a sweep, map by map."""
    env: dict[SSAValue, Value] = dict(zip(op.body.block.args, operands, strict=True))
    for inner, overwritten in zip(op.maps, op.overwritten, strict=True):
        results = emit_map(inner, [env[v] for v in inner.inputs], overwritten)
        env.update(zip(inner.outputs, results, strict=True))
    return [env[v] for v in op.yields.arguments]


@STABLEHLO.register(MapOp)
def _map(lowering: Lowering, op: MapOp, operands: Sequence[Value]) -> Sequence[Value]:
    return lowering.map(op, operands, [None] * len(op.outputs))


@STABLEHLO.register(ReduceOp)
def _reduce(lowering: Lowering, op: ReduceOp, operands: Sequence[Value]) -> Sequence[Value]:
    kind, type_ = op.combiner.data, op.result.type
    scalar, leaves = element_type(type_), leaf_set(op, op.tree.leaves)
    pairs = list(zip(as_leaves(operands[0]), leaves, strict=True))
    if isinstance(type_, TreeType) and type_.has_axes:
        return [[reductions.fold_axes(v, kind, scalar, leaf.kept(type_.extent.data)) for v, leaf in pairs]]
    folded = [reductions.fold([v], [kind], scalar)[0] if leaf.shape else v for v, leaf in pairs]
    return [folded if isinstance(type_, TreeType) else reductions.total(kind, type_, folded)]


@STABLEHLO.register(SplitOp)
def _split(lowering: Lowering, op: SplitOp, operands: Sequence[Value]) -> Sequence[Value]:
    whole = operands[0]
    if isinstance(whole, PackedView):
        return [replace(whole, places=tuple(part)) for part in split_values(op, whole.places)]
    return split_values(op, as_leaves(whole))


@STABLEHLO.register(JoinOp)
def _join(lowering: Lowering, op: JoinOp, operands: Sequence[Value]) -> Sequence[Value]:
    first = operands[0]
    if isinstance(first, PackedView) and all(isinstance(p, PackedView) and p.buffer is first.buffer for p in operands):
        return [replace(first, places=tuple(join_values(op, [p.places for p in operands])))]
    return [join_values(op, [as_leaves(p) for p in operands])]


@STABLEHLO.register(ReshapeOp)
def _reshape(lowering: Lowering, op: ReshapeOp, operands: Sequence[Value]) -> Sequence[Value]:
    return [_reshaped(op, as_leaves(operands[0]))]


@STABLEHLO.register(CountOp)
def _count(lowering: Lowering, op: CountOp, operands: Sequence[Value]) -> Sequence[Value]:
    return [[constant(n, element_type(op.result.type)) for n in op.counts]]


@STABLEHLO.register(PackOp)
def _pack(lowering: Lowering, op: PackOp, operands: Sequence[Value]) -> Sequence[Value]:
    pairs = zip(op.inputs, operands, strict=True)
    ones = [hlo.reshape(tensor([1], v.type), as_leaves(value)) for v, value in pairs]
    return [_reshaped(op, [hlo.concatenate(ones, 0) if len(ones) > 1 else ones[0]])]


@STABLEHLO.register(UnpackOp)
def _unpack(lowering: Lowering, op: UnpackOp, operands: Sequence[Value]) -> Sequence[Value]:
    flat = _flatten(as_leaves(operands[0]), element_type(op.operand.type))
    one = ir.DenseI64ArrayAttr.get([1])
    results: list[Value] = []
    for i, output in enumerate(op.outputs):
        start, end = (ir.DenseI64ArrayAttr.get([k]) for k in (i, i + 1))
        results.append(hlo.reshape(tensor([], output.type), hlo.slice(flat, start, end, one)))
    return results


def _flatten(column: Sequence[Tensor], type_: Attribute) -> Tensor:
    """The values of all leaves as one vector."""
    if not column:
        return vector_constant([], type_)
    sizes = [prod(ir.RankedTensorType(v.type).shape) for v in column]
    flat = [hlo.reshape(tensor([n], type_), v) for n, v in zip(sizes, column, strict=True)]
    return hlo.concatenate(flat, 0) if len(flat) > 1 else flat[0]


def _reshaped(op: ReshapeOp | PackOp, column: Sequence[Tensor]) -> list[Tensor]:
    """Leaf by leaf where the sizes agree, else through one flat tensor."""
    assert isinstance(op.result.type, TreeType)
    scalar, shapes = op.result.type.element, shapes_of(op, op.result.type)
    sizes = [prod(shape) for shape in shapes]
    old_sizes = [prod(ir.RankedTensorType(v.type).shape) for v in column]
    if old_sizes != sizes:
        whole = _flatten(column, scalar)
        one = ir.DenseI64ArrayAttr.get([1])
        ends = list(accumulate(sizes))
        column = [
            hlo.slice(whole, ir.DenseI64ArrayAttr.get([end - n]), ir.DenseI64ArrayAttr.get([end]), one)
            for n, end in zip(sizes, ends, strict=True)
        ]
    return [hlo.reshape(tensor(shape, scalar), v) for shape, v in zip(shapes, column, strict=True)]
