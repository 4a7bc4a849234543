"""Maps of values by axis: leaves of one shape at once, as one array with an axis more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute, SSAValue

from optcc.dialect import Combiner, Leaf, MapOp, TreeType, element_type, leaf_set
from optcc.lowering.backend import Tensor, Value
from optcc.lowering.packed_values import as_leaves
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.scalar_ops import broadcast, emit, tensor
from optcc.lowering.stablehlo.tile_axes import unstacked


def stacked_map(op: MapOp, operands: Sequence[Value]) -> list[list[Tensor]]:
    """What a map makes of each leaf: a list for each result, for a fold over all leaves one of some leaves each.

    Such values are small, and most of what is done with them takes longer to start than to do.
    """
    leaves = leaf_set(op, op.leaves)
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for i, leaf in enumerate(leaves):
        alike[leaf.shape, leaf.axes].append(i)
    inputs = [as_leaves(v) for v in operands]
    results: list[dict[int, Tensor]] = [{} for _ in op.result_types]
    for members in alike.values():
        leaf = leaves[members[0]]
        args = [
            _stack([v[i] for i in members], leaf, t) if isinstance(t, TreeType) else v
            for v, t in zip(inputs, op.operand_types, strict=True)
        ]
        for found, made in zip(results, _results(op, leaf, len(members), args), strict=True):
            found.update(zip(members, made, strict=False))
    return [[found[i] for i in sorted(found)] for found in results]


def _stack(values: Sequence[Tensor], leaf: Leaf, type_: TreeType) -> Tensor:
    shape = leaf.shape_of(type_.extent.data) or (1,) * len(leaf.shape)
    rows = [hlo.reshape(tensor([1, *shape], type_.element), v) for v in values]
    return hlo.concatenate(rows, 0) if len(rows) > 1 else rows[0]


def _results(op: MapOp, leaf: Leaf, count: int, args: Sequence[Tensor]) -> list[list[Tensor]]:
    env: dict[SSAValue, Tensor] = dict(zip(op.block.args, args, strict=True))
    for inner in op.block.ops:
        if inner is not op.yields:
            env[inner.results[0]] = emit(inner, [env[v] for v in inner.operands])
    shape = [count, *leaf.shape_of(op.domain)]
    stacks = [broadcast(env[v], shape) for v in op.yields.arguments]
    rows = zip(stacks, op.kinds, op.result_types, strict=True)
    return [_split(leaf, stack, kind, type_) for stack, kind, type_ in rows]


def _split(leaf: Leaf, stack: Tensor, kind: Combiner, type_: Attribute) -> list[Tensor]:
    if kind is Combiner.NONE:
        return unstacked(stack)
    scalar = element_type(type_)
    if not isinstance(type_, TreeType):
        return reductions.fold([stack], [kind], scalar)
    kept = leaf.kept(type_.extent.data)
    gone = [axis + 1 for axis in range(len(leaf.shape)) if axis not in kept]
    folded = reductions.reduce([stack], [kind], scalar, gone)[0]
    count = ir.RankedTensorType(stack.type).shape[0]
    return unstacked(hlo.reshape(tensor([count, *leaf.shape_of(type_.extent.data)], scalar), folded))
