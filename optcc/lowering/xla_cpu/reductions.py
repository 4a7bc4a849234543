"""Folds of whole leaves, in the forms that XLA:CPU neither keeps in memory nor runs on one core."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.ir import Attribute

from optcc.dialect import Combiner
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.reductions import reduce
from optcc.lowering.stablehlo.scalar_ops import tensor

_LARGE = 1 << 16
"""A flat leaf with more elements is folded as a matrix, so that its rows are shared among the cores."""


def fold(values: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Tensor]:
    """Fold tensors of one shape and element type, each to a 0-d tensor.

    XLA:CPU gives a single reduction to a library that first writes out every scalar in it as an array. A reduction of
    several operands at once stays in one loop, so all are done together, a single one twice.
    """
    shape = list(ir.RankedTensorType(values[0].type).shape)
    if prod(shape) == 1:
        return reductions.fold(values, kinds, type_)
    count = len(values)
    if count == 1:
        twin = hlo.OptimizationBarrierOp([values[0]]).results[0]
        values, kinds = [values[0], twin], [kinds[0], kinds[0]]
    if len(shape) == 1 and (columns := _columns(shape[0])):
        matrix = tensor([shape[0] // columns, columns], type_)
        values, shape = [hlo.reshape(matrix, v) for v in values], [shape[0] // columns, columns]
    if len(shape) > 1:
        values = reduce(values, kinds, type_, [len(shape) - 1])
        shape = shape[:-1]
    values = reduce(values, kinds, type_, list(range(len(shape))))
    # The twins are equal, which XLA does not know; their maximum keeps both alive.
    return list(values) if count > 1 else [hlo.maximum(*values)]


def _columns(size: int) -> int | None:
    """A divisor of the size of a large flat leaf that makes good rows, if there is one."""
    if size < _LARGE:
        return None
    return next((c for c in range(4096, 255, -1) if size % c == 0), None)
