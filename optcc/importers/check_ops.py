"""What ops over leaf sets compute, element by element and leaf by leaf: the other side of the check of an import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import FloatAttr, IntegerAttr
from xdsl.ir import Attribute, Operation, SSAValue

from optcc.dialect import (
    CallOp,
    Combiner,
    Extent,
    HyperOp,
    JoinOp,
    Leaf,
    MapOp,
    ReduceOp,
    SplitOp,
    TreeType,
    element_type,
)
from optcc.dtypes import dtype_of
from optcc.importers.canonical import Expressions

Leaves = dict[int, int]
"""The expression of each leaf."""

_NAMES: dict[type[Operation], str] = {
    arith.AddfOp: "add",
    arith.AddiOp: "add",
    arith.SubfOp: "sub",
    arith.SubiOp: "sub",
    arith.MulfOp: "mul",
    arith.MuliOp: "mul",
    arith.DivfOp: "div",
    arith.MaximumfOp: "max",
    arith.MaxSIOp: "max",
    arith.MinimumfOp: "min",
    arith.MinSIOp: "min",
    arith.RemSIOp: "rem",
    arith.AndIOp: "and",
    arith.OrIOp: "or",
    arith.XOrIOp: "xor",
    arith.NegfOp: "neg",
    arith.SelectOp: "select",
    math.AbsFOp: "abs",
    math.CeilOp: "ceil",
    math.CosOp: "cos",
    math.ExpOp: "exp",
    math.ExpM1Op: "expm1",
    math.FloorOp: "floor",
    math.LogOp: "log",
    math.Log1pOp: "log1p",
    math.PowFOp: "pow",
    math.RsqrtOp: "rsqrt",
    math.SinOp: "sin",
    math.SqrtOp: "sqrt",
    math.TanhOp: "tanh",
}
_CASTS = (
    arith.ExtFOp,
    arith.TruncFOp,
    arith.SIToFPOp,
    arith.UIToFPOp,
    arith.FPToSIOp,
    arith.ExtSIOp,
    arith.ExtUIOp,
    arith.TruncIOp,
)
_FLOATS = {1: "eq", 2: "gt", 3: "ge", 4: "lt", 5: "le", 8: "ueq", 13: "ne"}
_INTEGERS = {0: "eq", 1: "ne", 2: "lt", 3: "le", 4: "gt", 5: "ge"}
_COMBINERS = {Combiner.ADD: "add", Combiner.MAX: "max", Combiner.MIN: "min"}


class UnknownOpError(Exception):
    """An op that an import does not emit."""


class OpElements:
    """Reads ops.

    `leaves_of` has the indices and leaves of a leaf set by its symbol, `kept_axes` the axes of an extent of a leaf.
    """

    def __init__(
        self,
        expressions: Expressions,
        leaves_of: Callable[[str], Sequence[tuple[int, Leaf]]],
        kept_axes: Callable[[str, Leaf], Sequence[int]],
    ) -> None:
        self.e = expressions
        self._leaves_of = leaves_of
        self._kept_axes = kept_axes
        self._env: dict[SSAValue, int | Leaves] = {}

    def bind(self, value: SSAValue, element: int | Leaves) -> None:
        """Give a value of the function its expression, or those of its leaves."""
        self._env.setdefault(value, element)

    def __getitem__(self, value: SSAValue) -> int | Leaves:
        return self._env[value]

    def run(self, ops: Iterable[Operation]) -> None:
        """Read ops in order. Raises UnknownOpError."""
        for op in ops:
            rule = _RULES.get(type(op))
            if rule is not None:
                rule(self, op)
                continue
            args = [x for v in op.operands if isinstance(x := self._env[v], int)]
            assert len(args) == len(op.operands)
            self._env[op.results[0]] = self._scalar(op, args, single=True)

    def is_bound(self, op: HyperOp | CallOp) -> None:
        """What comes from outside was given its expressions by `bind`."""

    def split(self, op: SplitOp) -> None:
        """The parts of a tree."""
        whole = self._tree(op.whole)
        for part in op.parts:
            self._env[part] = {i: whole[i] for i in self._indices(part.type)}

    def join(self, op: JoinOp) -> None:
        """A tree of parts."""
        joined = {i: x for part in op.parts for i, x in self._tree(part).items()}
        self._env[op.whole] = {i: joined[i] for i in self._indices(op.whole.type)}

    def _indices(self, type_: Attribute) -> list[int]:
        assert isinstance(type_, TreeType)
        return [i for i, _ in self._leaves_of(type_.leaves.string_value())]

    def _tree(self, value: SSAValue) -> Leaves:
        found = self._env[value]
        assert isinstance(found, dict)
        return found

    def map(self, op: MapOp) -> None:
        """The results of a map, leaf by leaf."""
        indices = [i for i, _ in self._leaves_of(op.leaves.string_value())]
        inputs = [self._env[v] for v in op.inputs]
        columns: dict[SSAValue, list[int]] = {}
        for argument, x in zip(op.body.block.args, inputs, strict=True):
            columns[argument] = [x] * len(indices) if isinstance(x, int) else [x[i] for i in indices]
        *body, last = op.body.block.ops
        for inner in body:
            given = [columns[v] for v in inner.operands]
            rows = zip(*given, strict=True) if given else iter([()] * len(indices))
            columns[inner.results[0]] = [self._scalar(inner, row, single=False) for row in rows]
        for result, value, kind in zip(op.outputs, last.operands, op.kinds, strict=True):
            if kind is not Combiner.NONE:
                raise UnknownOpError(op.name)
            self._env[result] = dict(zip(indices, columns[value], strict=True))

    def reduce(self, op: ReduceOp) -> None:
        """The folds of the leaves, or of all."""
        kind = _COMBINERS[op.combiner.data]
        tree = self._tree(op.operand)
        folded: Leaves = {}
        for i, leaf in self._leaves_of(op.tree.leaves.string_value()):
            axes = [a for a in range(len(leaf.shape)) if leaf.shape[a] != 1]
            old = self._kept(op.operand.type, leaf, axes)
            new = [] if not isinstance(op.result.type, TreeType) else self._kept(op.result.type, leaf, axes)
            folded[i] = self.e.reduce(kind, tree[i], tuple(a for a in old if a not in new))
        per_leaf = isinstance(op.result.type, TreeType)
        self._env[op.result] = folded if per_leaf else self.e.fold_all(kind, tuple(folded.values()))

    def _kept(self, type_: Attribute, leaf: Leaf, axes: Sequence[int]) -> Sequence[int]:
        assert isinstance(type_, TreeType)
        extent = type_.extent.data
        if extent == Extent.ELEMENTS:
            return axes
        return () if extent == Extent.PER_LEAF else self._kept_axes(extent, leaf)

    def _scalar(self, op: Operation, args: Sequence[int], *, single: bool) -> int:
        e = self.e
        if isinstance(op, arith.ConstantOp):
            assert isinstance(op.value, FloatAttr | IntegerAttr)
            return e.constant(op.value.value.data, dtype_of(op.result.type))
        if isinstance(op, arith.CmpfOp):
            return e(_FLOATS[op.predicate.value.data], *args)
        if isinstance(op, arith.CmpiOp):
            return e(_INTEGERS[op.predicate.value.data], *args)
        if isinstance(op, _CASTS):
            return self._cast(op, args[0])
        if type(op) not in _NAMES:
            raise UnknownOpError(op.name)
        return (e.of_numbers if single else e)(_NAMES[type(op)], *args)

    def _cast(self, op: Operation, x: int) -> int:
        old, new = (dtype_of(element_type(v.type)) for v in (op.operands[0], op.results[0]))
        if new == np.bool_:
            raise UnknownOpError(f"{op.name} to bool")
        return self.e.convert(x, old, new)


_RULES: dict[type[Operation], Callable[[OpElements, Any], None]] = {
    MapOp: OpElements.map,
    ReduceOp: OpElements.reduce,
    SplitOp: OpElements.split,
    JoinOp: OpElements.join,
    HyperOp: OpElements.is_bound,
    CallOp: OpElements.is_bound,
}


def by_leaf(values: Mapping[int, SSAValue], members: Mapping[int, Sequence[int]], of: OpElements) -> Leaves:
    """The expressions of the leaves of a tree, from those of its parts."""
    found: Leaves = {}
    for k in members:
        part = of[values[k]]
        assert isinstance(part, dict)
        found.update(part)
    return found
