"""Folds in StableHLO."""

from __future__ import annotations

from collections.abc import Sequence

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute

from optcc.dialect import Combiner
from optcc.dtypes import dtype_of
from optcc.interpret.tree_ops import identity
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo.ordering import order_after
from optcc.lowering.stablehlo.scalar_ops import constant, tensor

_COMBINE = {Combiner.ADD: hlo.add, Combiner.MAX: hlo.maximum, Combiner.MIN: hlo.minimum}


def combine(kind: Combiner, lhs: Tensor, rhs: Tensor) -> Tensor:
    """Fold two values into one."""
    return _COMBINE[kind](lhs, rhs)


def start(kind: Combiner, type_: Attribute) -> Tensor:
    """The fold of nothing."""
    return constant(identity(kind, dtype_of(type_)).item(), type_)


def total(kind: Combiner, type_: Attribute, column: Sequence[Tensor]) -> Tensor:
    """Fold the values of the leaves, in order."""
    if not column:
        return start(kind, type_)
    result = column[0]
    for value in column[1:]:
        result = combine(kind, result, value)
    return result


def fold(values: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Tensor]:
    """Fold tensors of one shape and element type, each to a 0-d tensor.

    A fold of one element is that element, in a form that hides where it comes from: XLA takes the root of a square for
    the absolute value, which is another number where the square under- or overflows.
    """
    if ir.RankedTensorType(values[0].type).shape == [1] * ir.RankedTensorType(values[0].type).rank:
        flat = [hlo.reshape(tensor([], type_), v) for v in values]
        return [order_after([v], v)[0] for v in flat]
    dims = list(range(ir.RankedTensorType(values[0].type).rank))
    return [reduce([v], [k], type_, dims)[0] for v, k in zip(values, kinds, strict=True)]


def fold_axes(value: Tensor, kind: Combiner, type_: Attribute, kept: Sequence[int]) -> Tensor:
    """Fold the axes of a tensor that are not kept; they stay as axes of size 1."""
    shape = list(ir.RankedTensorType(value.type).shape)
    dims = [axis for axis in range(len(shape)) if axis not in kept]
    folded = reduce([value], [kind], type_, dims)[0]
    return hlo.reshape(tensor([1 if axis in dims else n for axis, n in enumerate(shape)], type_), folded)


def reduce(values: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute, dims: Sequence[int]) -> list[Tensor]:
    """Fold axes of tensors of one shape and element type, all by one op."""
    shape = list(ir.RankedTensorType(values[0].type).shape)
    if not dims:
        return list(values)
    result = tensor([n for i, n in enumerate(shape) if i not in dims], type_)
    starts = [start(kind, type_) for kind in kinds]
    op = hlo.ReduceOp([result] * len(values), list(values), starts, ir.DenseI64ArrayAttr.get(list(dims)))
    scalar = tensor([], type_)
    block = op.regions[0].blocks.append(*[scalar] * (2 * len(values)))
    with ir.InsertionPoint(block):
        args, n = list(block.arguments), len(values)
        hlo.ReturnOp([combine(kind, args[i], args[n + i]) for i, kind in enumerate(kinds)])
    return list(op.results)
