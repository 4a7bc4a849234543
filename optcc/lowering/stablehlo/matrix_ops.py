"""The rules of StableHLO for batches of matrices: transposed and concatenated leaves, and `dot_general`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute

from optcc.dialect import MatmulOp, StackOp, TreeType, UnstackOp, leaf_set
from optcc.lowering.backend import Tensor, Value
from optcc.lowering.packed_values import as_leaves
from optcc.lowering.stablehlo.registry import STABLEHLO, Lowering
from optcc.lowering.stablehlo.scalar_ops import tensor, vector_constant


@STABLEHLO.register(StackOp)
def _stack(lowering: Lowering, op: StackOp, operands: Sequence[Value]) -> Sequence[Value]:
    assert isinstance(op.result.type, TreeType)
    element, batches = op.result.type.element, leaf_set(op, op.result.type.leaves)
    parts: list[list[Tensor]] = [[] for _ in batches]
    for x, place in zip(as_leaves(operands[0]), op.places.data, strict=True):
        batch = batches[place.batch]
        if batch.size:
            matrix = batch.shape[1:]
            count = math.prod(ir.RankedTensorType(x.type).shape) // math.prod(matrix)
            ordered = _transposed(x, place.order)
            parts[place.batch].append(hlo.reshape(tensor([count, *matrix], element), ordered))
    return [[_together(part, batch.shape, element) for part, batch in zip(parts, batches, strict=True)]]


def _together(parts: Sequence[Tensor], shape: Sequence[int], element: Attribute) -> Tensor:
    """The parts of a batch; one without values is given none, and their shapes do not say its own."""
    if not parts:
        return hlo.reshape(tensor(shape, element), vector_constant([], element))
    return hlo.concatenate(parts, 0) if len(parts) > 1 else parts[0]


@STABLEHLO.register(UnstackOp)
def _unstack(lowering: Lowering, op: UnstackOp, operands: Sequence[Value]) -> Sequence[Value]:
    assert isinstance(op.result.type, TreeType)
    element, batches = op.result.type.element, as_leaves(operands[0])
    starts = [0] * len(batches)
    found: list[Tensor] = []
    for leaf, place in zip(leaf_set(op, op.result.type.leaves), op.places.data, strict=True):
        batch, start = batches[place.batch], starts[place.batch]
        if not leaf.size:
            found.append(_together([], leaf.shape, element))
            continue
        shape = ir.RankedTensorType(batch.type).shape
        starts[place.batch] = end = start + leaf.size // math.prod(shape[1:])
        bounds = [[start, 0, 0], [end, *shape[1:]], [1, 1, 1]]
        piece = hlo.slice(batch, *(ir.DenseI64ArrayAttr.get(x) for x in bounds)) if shape[0] > end - start else batch
        ordered = hlo.reshape(tensor([leaf.shape[axis] for axis in place.order], element), piece)
        found.append(_transposed(ordered, place.inverse))
    return [found]


def _transposed(x: Tensor, order: Sequence[int]) -> Tensor:
    same = list(order) == list(range(len(order)))
    return x if same else hlo.transpose(x, ir.DenseI64ArrayAttr.get(list(order)))


@STABLEHLO.register(MatmulOp)
def _matmul(lowering: Lowering, op: MatmulOp, operands: Sequence[Value]) -> Sequence[Value]:
    lhs, rhs = as_leaves(operands[0]), as_leaves(operands[1])
    shapes = [leaf.shape for leaf in leaf_set(op, op.type.leaves)]
    products = [_product(op, x, y, shape) for x, y, shape in zip(lhs, rhs, shapes, strict=True)]
    if op.plus is None:
        return [products]
    alpha, beta = (as_leaves(v) for v in operands[2:4])
    return [
        [hlo.add(_scaled(alpha, x), _scaled(beta, y)) for x, y in zip(products, as_leaves(operands[4]), strict=True)]
    ]


def _product(op: MatmulOp, lhs: Tensor, rhs: Tensor, shape: Sequence[int]) -> Tensor:
    last = len(shape) - 1
    left, right = op.transposed
    numbers = hlo.DotDimensionNumbers.get(
        lhs_batching_dimensions=list(range(last - 1)),
        rhs_batching_dimensions=list(range(last - 1)),
        lhs_contracting_dimensions=[last - 1 if left else last],
        rhs_contracting_dimensions=[last if right else last - 1],
    )
    precision = ir.ArrayAttr.get([hlo.PrecisionAttr.get(op.precision.data.upper())] * 2)
    return hlo.dot_general(tensor(shape, op.type.element), lhs, rhs, numbers, precision_config=precision)


def _scaled(scalar: Tensor, x: Tensor) -> Tensor:
    return hlo.multiply(hlo.broadcast_in_dim(x.type, scalar, ir.DenseI64ArrayAttr.get([])), x)
