"""The body of a map on one leaf, with folds that are not finished."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Attribute

from optcc.dialect import Combiner
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo.bodies import Body
from optcc.lowering.xla_gpu.reductions import fold_rows, rows_of


class PartialBody(Body):
    """The body of a map whose folds of elements are vectors that are still to be folded."""

    def fold_shape(self) -> tuple[int, ...]:
        return (rows_of(self.shape),)

    def fold(self, values: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Tensor]:
        return fold_rows(values, kinds, type_)
