"""The body of a map on one leaf, as one expression."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.ir import Attribute, Operation, SSAValue

from optcc.dialect import Combiner, Leaf, MapOp, TreeType
from optcc.lowering.backend import Tensor
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.scalar_ops import broadcast, emit

Fold = Callable[[Sequence[Tensor], Sequence[Combiner], Attribute], list[Tensor]]
"""Folds tensors of one shape and element type to 0-d tensors."""


class Body:
    """The body of a map on leaves like one of them."""

    def __init__(self, op: MapOp, leaf: Leaf) -> None:
        self.op = op
        self.leaf = leaf
        self.shape = list(leaf.shape_of(op.domain))

    def emit(self, arguments: Sequence[Tensor], overwritten: Sequence[int | None]) -> list[Tensor]:
        """The results of the map on one leaf. `overwritten[i]` is the operand whose array result i takes."""
        op = self.op
        out: dict[int, Tensor] = {}
        env: dict[SSAValue, Tensor] = dict(zip(op.block.args, arguments, strict=True))
        stored, reduced = self.by_kind(range(len(op.outputs)))
        self.run([inner for inner in op.block.ops if inner is not op.yields], env)
        self.store(stored, env, out)
        self.reduce(reduced, env, out)
        return [out[i] for i in range(len(op.outputs))]

    def fold_shape(self) -> tuple[int, ...]:
        """The shape of what is left of a fold over the leaf."""
        return ()

    def fold(self, values: Sequence[Tensor], kinds: Sequence[Combiner], type_: Attribute) -> list[Tensor]:
        """Folds over the leaf, of tensors of one element type."""
        return reductions.fold(values, kinds, type_)

    def by_kind(self, results: Sequence[int]) -> tuple[list[int], list[int]]:
        """The results that are stored, and those that are folded."""
        stored = [i for i in results if self.op.kinds[i] is Combiner.NONE]
        return stored, [i for i in results if i not in stored]

    def run(self, ops: Sequence[Operation], env: dict[SSAValue, Tensor]) -> None:
        """Emit ops of the body."""
        for inner in ops:
            env[inner.results[0]] = emit(inner, [env[v] for v in inner.operands])

    def store(self, results: Sequence[int], env: dict[SSAValue, Tensor], out: dict[int, Tensor]) -> None:
        """The arrays of results that are stored."""
        for i in results:
            out[i] = broadcast(env[self.op.yields.arguments[i]], self.shape)

    def reduce(
        self, results: Sequence[int], env: dict[SSAValue, Tensor], out: dict[int, Tensor], fold: Fold | None = None
    ) -> None:
        """The folds of results; `fold` does those over all axes, together where they have one element type."""
        op = self.op
        groups: dict[Attribute, list[int]] = {}
        for i in results:
            value, type_ = op.yields.arguments[i], op.result_types[i]
            if isinstance(type_, TreeType) and type_.has_axes:
                array = broadcast(env[value], self.shape)
                out[i] = reductions.fold_axes(array, op.kinds[i], value.type, self.leaf.kept(type_.extent.data))
            else:
                groups.setdefault(value.type, []).append(i)
        for type_, members in groups.items():
            values = [broadcast(env[op.yields.arguments[i]], self.shape) for i in members]
            out.update(zip(members, (fold or self.fold)(values, [op.kinds[i] for i in members], type_), strict=True))
