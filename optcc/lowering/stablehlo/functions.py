"""Lowers a function of sweeps to StableHLO, inside a module that JAX is building.

Every map becomes one private function for each shape of its leaves, called once a leaf, so that the module grows by a
call, not by a body, with each leaf.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, ClassVar

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import func as func_dialect
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.traits import IsTerminator

from optcc.dialect import Combiner, Extent, Leaf, MapOp, TreeType, element_type, leaf_set
from optcc.lowering.backend import Site, Tensor, Value
from optcc.lowering.cache_tiles import is_scalar
from optcc.lowering.packed_values import PackedView, Vector, as_buffer, as_leaves, as_one_leaf
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.bodies import Body
from optcc.lowering.stablehlo.registry import STABLEHLO
from optcc.lowering.stablehlo.scalar_ops import tensor
from optcc.lowering.stablehlo.tiles import emit_tiled, tiles_of
from optcc.lowering.stablehlo.vectors import vector_map
from optcc.program.storage import Packing


class StableHLO:
    """Emits functions in the portable form: each map is one expression, which XLA fuses by itself."""

    body_class: ClassVar[type[Body]] = Body
    folds_together: ClassVar[bool] = False
    """Whether the folds of tiled elements are one `reduce`. On a GPU XLA then makes one kernel of them. On a TPU it
    fuses such a one with no store, so that what is stored and folded would be read again."""
    tiles_axes: ClassVar[bool] = False
    """Whether values by axis are gathered for each element of a tiled buffer, which a TPU is slow at."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._bodies: dict[Any, Any] = {}

    def lower(
        self, function: FuncOp, arguments: Sequence[Value], packings: Sequence[Packing | None] = ()
    ) -> list[Value]:
        """As `optcc.lowering.backend.Backend` says."""
        results = self.run(function, arguments, {})
        return [as_buffer(v, p) if p else as_leaves(v) for v, p in zip_longest(results, packings)]

    def run(self, function: FuncOp, arguments: Sequence[Value], scalars: dict[int, Sequence[Value]]) -> list[Value]:
        """The results of a function. `scalars` are those of ops without leaves, by place: all blocks share them."""
        env: dict[SSAValue, Value] = dict(zip(function.args, arguments, strict=True))
        for place, op in enumerate(function.body.block.ops):
            operands = [env[v] for v in op.operands]
            if op.has_trait(IsTerminator):
                return operands
            results = scalars[place] if place in scalars else self.operation(op, operands)
            env.update(zip(op.results, results, strict=True))
            if is_scalar(op):
                scalars[place] = results
        raise ValueError("the function has no return")

    def operation(self, op: Operation, operands: Sequence[Value]) -> Sequence[Value]:
        """The results of one op. Raises MissingRuleError for an op without a rule."""
        return STABLEHLO.run(self, op, operands)

    def map(self, op: MapOp, operands: Sequence[Value], overwritten: Sequence[int | None]) -> list[Value]:
        """The results of a map; `overwritten[i]` is the operand whose array result i takes."""
        if one := as_one_leaf(op, operands, overwritten):
            args = [v.buffer.tensor if isinstance(v, PackedView) else as_leaves(v) for v in operands]
            targets = [operands[target] for target in overwritten if target is not None]
            for view, result in zip(targets, self.call(op, one, args, overwritten), strict=True):
                view.buffer.tensor = result
            return targets
        if op.domain == Extent.PER_LEAF and any(isinstance(v, Vector) for v in operands):
            return vector_map(op, operands)
        if tiles := tiles_of(op, operands, with_axes=self.tiles_axes):
            return emit_tiled(op, tiles, operands, overwritten, folds_together=self.folds_together)
        inputs = [as_leaves(v) for v in operands]
        rows: list[list[Tensor]] = []
        for i, leaf in enumerate(leaf_set(op, op.leaves)):
            args = [v[i] if isinstance(t, TreeType) else v for v, t in zip(inputs, op.operand_types, strict=True)]
            rows.append(self.call(op, leaf, args, overwritten))
        results: list[Value] = []
        for j, (type_, kind) in enumerate(zip(op.result_types, op.kinds, strict=True)):
            column = [row[j] for row in rows]
            results.append(self.finish(kind, type_, column) if _folds_leaves(kind, type_) else column)
        return results

    def finish(self, kind: Combiner, type_: Attribute, column: Sequence[Tensor]) -> Value:
        """The value of a fold over each leaf, or over all, from what the bodies of the leaves made of it."""
        return column if isinstance(type_, TreeType) else reductions.total(kind, type_, column)

    def call(self, op: MapOp, leaf: Leaf, args: Sequence[Tensor], overwritten: Sequence[int | None]) -> list[Tensor]:
        """The results of a map on one leaf: a call of the private function for leaves like it."""
        key = op, *((leaf.shape, leaf.axes) if op.domain != Extent.PER_LEAF else ())
        if key not in self._bodies:
            self._bodies[key] = self._body(op, leaf, overwritten)
        return list(func_dialect.CallOp(self._bodies[key], list(args)).results)

    def _body(self, op: MapOp, leaf: Leaf, overwritten: Sequence[int | None]) -> Any:
        body = self.body_class(op, leaf)
        types = [tensor(_shape_of(leaf, t), element_type(t)) for t in op.operand_types]
        results = [
            tensor(body.fold_shape() if _folds_leaves(kind, t) else _shape_of(leaf, t), element_type(t))
            for kind, t in zip(op.kinds, op.result_types, strict=True)
        ]
        with ir.InsertionPoint.at_block_begin(self.site.module.body):
            function = func_dialect.FuncOp("optcc_map", ir.FunctionType.get(types, results), visibility="private")
            self.site.insert(function)
            entry = function.add_entry_block()
        with ir.InsertionPoint(entry):
            func_dialect.ReturnOp(body.emit(list(entry.arguments), overwritten))
        return function


def _folds_leaves(kind: Combiner, type_: Attribute) -> bool:
    """Whether a result of a map is a fold over each leaf, or over all."""
    return kind is not Combiner.NONE and not (isinstance(type_, TreeType) and type_.has_axes)


def _shape_of(leaf: Leaf, type_: Attribute) -> tuple[int, ...]:
    """The shape of the tensor that holds a value of some type for one leaf."""
    return leaf.shape_of(type_.extent.data) if isinstance(type_, TreeType) else ()
