"""Maps of values of leaves that are in vectors, an element for each leaf."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from optcc.dialect import Combiner, MapOp, TreeType, leaf_set
from optcc.lowering.backend import Tensor, Value
from optcc.lowering.packed_values import Vector, as_leaves, as_vector
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.scalar_ops import broadcast, emit


def vector_map(op: MapOp, operands: Sequence[Value]) -> list[Value]:
    """A map that runs once a leaf, for all leaves at once."""
    count = len(leaf_set(op, op.leaves))
    env: dict[SSAValue, Tensor] = {}
    for argument, value, type_ in zip(op.block.args, operands, op.operand_types, strict=True):
        env[argument] = as_vector(value) if isinstance(type_, TreeType) else as_leaves(value)
    for inner in op.block.ops:
        if inner is not op.yields:
            env[inner.results[0]] = emit(inner, [env[v] for v in inner.operands])
    results: list[Value] = []
    for value, kind in zip(op.yields.arguments, op.kinds, strict=True):
        vector = broadcast(env[value], [count])
        stored = kind is Combiner.NONE
        results.append(Vector(vector) if stored else reductions.fold([vector], [kind], value.type)[0])
    return results
