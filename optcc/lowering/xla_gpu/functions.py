"""StableHLO in the forms that suit XLA's GPU backend."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from xdsl.ir import Attribute

from optcc.dialect import Combiner, Extent, Leaf, MapOp, TreeType, element_type
from optcc.lowering.backend import Site, Tensor, Value
from optcc.lowering.packed_values import Vector
from optcc.lowering.stablehlo.functions import StableHLO
from optcc.lowering.stablehlo.ordering import order_after
from optcc.lowering.stablehlo.reductions import total
from optcc.lowering.xla_gpu.bodies import PartialBody
from optcc.lowering.xla_gpu.reductions import SMALL, fold_each, fold_together
from optcc.lowering.xla_gpu.stacked import stacked_map


class XlaGpu(StableHLO):
    """Emits functions for XLA:GPU: as the portable form, but what is left of a fold after a kernel is done in batches.

    XLA makes a kernel of every `reduce`, and of a large one two. Here a leaf's body folds rows only, and nothing where
    the leaf is small; the rest is a few kernels for all leaves. Per-leaf values are vectors from there on.
    """

    body_class = PartialBody
    folds_together = True
    tiles_axes = True

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._folded: dict[MapOp, Tensor] = {}

    def map(self, op: MapOp, operands: Sequence[Value], overwritten: Sequence[int | None]) -> list[Value]:
        if op.domain in (Extent.ELEMENTS, Extent.PER_LEAF):
            return super().map(op, operands, overwritten)
        results: list[Value] = []
        for column, kind, type_ in zip(stacked_map(op, operands), op.kinds, op.result_types, strict=True):
            whole = kind is not Combiner.NONE and not isinstance(type_, TreeType)
            results.append(total(kind, type_, column) if whole else column)
        return results

    def finish(self, kind: Combiner, type_: Attribute, column: Sequence[Tensor]) -> Value:
        scalar = element_type(type_)
        if not isinstance(type_, TreeType):
            return fold_together(column, kind, scalar)
        return Vector(fold_each(column, kind, scalar)) if column else list(column)

    def call(self, op: MapOp, leaf: Leaf, args: Sequence[Tensor], overwritten: Sequence[int | None]) -> list[Tensor]:
        """The results of a map on one leaf.

        A large leaf that is stored and folded waits for the one before it. Else XLA makes one kernel of several of
        them, whose results it does not write in place: it copies all that was stored.
        """
        folds = [i for i, kind in enumerate(op.kinds) if kind is not Combiner.NONE]
        if not op.over_elements or len(folds) in (0, len(op.kinds)) or prod(leaf.shape) <= SMALL:
            return super().call(op, leaf, args, overwritten)
        if op in self._folded:
            args = order_after(list(args), self._folded[op])
        results = super().call(op, leaf, args, overwritten)
        self._folded[op] = results[folds[0]]
        return results
