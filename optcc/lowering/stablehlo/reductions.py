"""Folds of whole leaves in StableHLO, in the forms that XLA:CPU neither keeps in memory nor runs on one core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute

from optcc.dialect import Combiner
from optcc.dtypes import dtype_of
from optcc.interpret.tree_ops import identity
from optcc.lowering.stablehlo.scalar_ops import constant, tensor

Value = Any

_COMBINE = {Combiner.ADD: hlo.add, Combiner.MAX: hlo.maximum, Combiner.MIN: hlo.minimum}
_LARGE = 1 << 16
"""A flat leaf with more elements is folded as a matrix, so that its rows are shared among the cores."""


def combine(kind: Combiner, lhs: Value, rhs: Value) -> Value:
    """Fold two values into one."""
    return _COMBINE[kind](lhs, rhs)


def start(kind: Combiner, type_: Attribute) -> Value:
    """The fold of nothing."""
    return constant(identity(kind, dtype_of(type_)).item(), type_)


def fold(
    values: Sequence[Value], kinds: Sequence[Combiner], type_: Attribute, *, cpu: bool, plain: bool
) -> list[Value]:
    """Fold tensors of one shape and element type, each to a 0-d tensor.

    On CPU XLA gives a single reduction to a library that first writes out every scalar in it as an array, unless it is
    `plain`. A reduction of several operands at once stays in one loop, so those that are not plain are done together,
    a single one twice.
    """
    shape = list(ir.RankedTensorType(values[0].type).shape)
    if not cpu or plain:
        return [_reduce([v], [k], type_, list(range(len(shape))))[0] for v, k in zip(values, kinds, strict=True)]
    count = len(values)
    if count == 1:
        twin = hlo.OptimizationBarrierOp([values[0]]).results[0]
        values, kinds = [values[0], twin], [kinds[0], kinds[0]]
    if len(shape) == 1 and (columns := _columns(shape[0])):
        matrix = tensor([shape[0] // columns, columns], type_)
        values, shape = [hlo.reshape(matrix, v) for v in values], [shape[0] // columns, columns]
    if len(shape) > 1:
        values = _reduce(values, kinds, type_, [len(shape) - 1])
        shape = shape[:-1]
    values = _reduce(values, kinds, type_, list(range(len(shape))))
    # The twins are equal, which XLA does not know; their maximum keeps both alive.
    return list(values) if count > 1 else [hlo.maximum(*values)]


def fold_axes(value: Value, kind: Combiner, type_: Attribute, kept: Sequence[int]) -> Value:
    """Fold the axes of a tensor that are not kept; they stay as axes of size 1."""
    shape = list(ir.RankedTensorType(value.type).shape)
    dims = [axis for axis in range(len(shape)) if axis not in kept]
    folded = _reduce([value], [kind], type_, dims)[0]
    return hlo.reshape(tensor([1 if axis in dims else n for axis, n in enumerate(shape)], type_), folded)


def _columns(size: int) -> int | None:
    """A divisor of the size of a large flat leaf that makes good rows, if there is one."""
    if size < _LARGE:
        return None
    return next((c for c in range(4096, 255, -1) if size % c == 0), None)


def _reduce(values: Sequence[Value], kinds: Sequence[Combiner], type_: Attribute, dims: list[int]) -> list[Value]:
    shape = list(ir.RankedTensorType(values[0].type).shape)
    if not dims:
        return list(values)
    result = tensor([n for i, n in enumerate(shape) if i not in dims], type_)
    op = hlo.ReduceOp(
        [result] * len(values), list(values), [start(kind, type_) for kind in kinds], ir.DenseI64ArrayAttr.get(dims)
    )
    scalar = tensor([], type_)
    block = op.regions[0].blocks.append(*[scalar] * (2 * len(values)))
    with ir.InsertionPoint(block):
        args, n = list(block.arguments), len(values)
        hlo.ReturnOp([combine(kind, args[i], args[n + i]) for i, kind in enumerate(kinds)])
    return list(op.results)
