"""Ops that change what a tree value spans: `reduce`, `split`, `join`, `reshape`, `pack` and `unpack`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects.builtin import AnyFloat
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.rewriter import Rewriter
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Combiner, CombinerAttr, Extent, Leaf, Split
from optcc.dialect.interfaces import (
    Fold,
    Leafwise,
    Level,
    MovesValues,
    PerDevice,
    Regroups,
    SplitsByPart,
    TakesWholeTrees,
    Traffic,
    Turn,
)
from optcc.dialect.leaves import leaf_set, shapes_of, verify_leaf_sets
from optcc.dialect.types import TreeType, is_coarser


class _ReduceLevel(Level):
    def delay(self, op: Operation, result: SSAValue) -> int:
        return 1

    def turn(self, op: Operation) -> tuple[Turn, int]:
        assert isinstance(op, ReduceOp)
        return (Turn.AFTER if op.tree.has_elements else Turn.FOLDS_OF_AXES), 0


class _ReduceSplit(SplitsByPart):
    def combiners(self, op: Operation) -> Sequence[Combiner]:
        assert isinstance(op, ReduceOp)
        return [op.combiner.data]


class _ReducePerDevice(PerDevice):
    def folds(self, op: Operation) -> Sequence[Fold]:
        assert isinstance(op, ReduceOp)
        return [Fold(op.result, op.combiner.data, op.tree.leaves, op.tree.extent.data)]

    def fold_by_leaf(self, op: Operation, fold: Fold) -> SSAValue:
        assert isinstance(op, ReduceOp)
        return Rewriter.replace_value_with_new_type(op.result, op.tree.with_extent(Extent.PER_LEAF))


class _ReshapePerDevice(PerDevice):
    """The parts are reshaped alike if both sides are split along the same axes, but for those of size 1."""

    def why_not(self, op: Operation) -> str:
        assert isinstance(op, ReshapeOp)
        sides = [_split_axes(op, v.type) for v in (op.operand, op.result)]
        return (
            ""
            if sides[0] == sides[1] or not any(any(s for _, s in leaf) for leaf in (*sides[0], *sides[1]))
            else ("it gives the elements of split arrays another shape")
        )


def _split_axes(user: Operation, type_: Attribute) -> list[list[tuple[int, tuple[Split, ...]]]]:
    """For each leaf of a tree type the size of each axis and how it is split, without the axes that have one element.

    Splits are named by the axes of the value, counted without those, too.
    """
    assert isinstance(type_, TreeType)
    found: list[list[tuple[int, tuple[Split, ...]]]] = []
    for leaf in leaf_set(user, type_.leaves):
        kept = set(leaf.kept(type_.extent.data))
        by_axis = {
            axis: tuple(replace(s, axis=0) for s in leaf.splits if s.axis == axis and axis in kept)
            for axis in range(len(leaf.shape))
        }
        sizes = enumerate(leaf.shape_of(type_.extent.data)) if not type_.is_per_leaf else ()
        found.append([(n, by_axis[axis]) for axis, n in sizes if n > 1 or by_axis[axis]])
    return found


class _LeafwiseReshape(Leafwise):
    """Leaf by leaf if every leaf has as many values on both sides."""

    def holds(self, op: Operation) -> bool:
        assert isinstance(op, ReshapeOp)
        old, new = ([(leaf.path, n) for leaf, n in _leaf_sizes(op, v.type)] for v in (op.operand, op.result))
        return old == new


@irdl_op_definition
class ReduceOp(IRDLOperation):
    """Fold the values of a tree, over axes of each leaf, over each leaf or over the whole set.

    Over axes the result has the axis extent that keeps the others, over a leaf it is a per-leaf tree, over the set a
    scalar; the order of the fold is fixed for each backend. The fold of no value at all is the identity of the combiner
    (see `optim.map`).

    C1  the combiner is not `none`
    C2  the result is the operand's element type, or its tree with a coarser extent
    C3  the element type is a float

    Example: `%s = optim.reduce <add> %g : !optim.tree<f32, @all> -> f32`
    """

    name = "optim.reduce"

    combiner = prop_def(CombinerAttr)
    operand = operand_def(TreeType)
    result = result_def()

    traits = traits_def(Pure(), _ReduceLevel(), _ReduceSplit(), Leafwise(), _ReducePerDevice(), Traffic())

    assembly_format = "$combiner $operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, kind: Combiner, operand: SSAValue, result_type: Attribute) -> None:
        super().__init__(operands=[operand], result_types=[result_type], properties={"combiner": CombinerAttr(kind)})

    @property
    def tree(self) -> TreeType:
        """The type of the operand."""
        assert isinstance(self.operand.type, TreeType)
        return self.operand.type

    def verify_(self) -> None:
        verify_leaf_sets(self)
        if self.combiner.data is Combiner.NONE:
            raise VerifyException("C1: a reduction needs a combiner: <add>, <max> or <min>")
        tree, result = self.tree, self.result.type
        allowed = result == tree.element
        if isinstance(result, TreeType):
            extent = result.extent.data
            allowed = is_coarser(extent, tree.extent.data) and result == tree.with_extent(extent)
        if not allowed:
            raise VerifyException(f"C2: {tree} cannot be reduced to {result}")
        if not isinstance(tree.element, AnyFloat):
            raise VerifyException(f"C3: the element type must be a float, got {tree.element}")


def _verify_partition(op: SplitOp | JoinOp, whole: Attribute, parts: Sequence[Attribute]) -> None:
    verify_leaf_sets(op)
    if not isinstance(whole, TreeType) or not parts:
        raise VerifyException("C1: a leaf set is split into at least one part")
    found: set[object] = set()
    for part in parts:
        if not isinstance(part, TreeType) or part.element != whole.element or part.extent != whole.extent:
            raise VerifyException(f"C1: part {part} differs from {whole} by more than its leaf set")
        for leaf in leaf_set(op, part.leaves):
            if leaf in found:
                raise VerifyException(f'C2: leaf "{leaf.path}" is in two parts')
            found.add(leaf)
    if found != set(leaf_set(op, whole.leaves)):
        raise VerifyException(f"C2: the parts do not hold the leaves of {whole.leaves}, each once")


@irdl_op_definition
class SplitOp(IRDLOperation):
    """Part a tree value into values over disjoint leaf sets.

    C1  the parts have the element type and the extent of the whole
    C2  every leaf of the whole, path, shape and axis extents, is in exactly one part

    Example: `%a, %b = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @decay>, !optim.tree<f32, @rest>`
    """

    name = "optim.split"

    whole = operand_def(TreeType)
    parts = var_result_def(TreeType)

    traits = traits_def(Pure(), MovesValues(), Regroups(), Leafwise(), PerDevice(), Traffic())

    assembly_format = "$whole attr-dict `:` type($whole) `->` type($parts)"

    def __init__(self, whole: SSAValue, part_types: Sequence[Attribute]) -> None:
        super().__init__(operands=[whole], result_types=[part_types])

    def verify_(self) -> None:
        _verify_partition(self, self.whole.type, list(self.parts.types))


@irdl_op_definition
class JoinOp(IRDLOperation):
    """Put values over disjoint leaf sets together; the inverse of `optim.split`, with its constraints.

    Example: `%g = optim.join %a, %b : !optim.tree<f32, @decay>, !optim.tree<f32, @rest> -> !optim.tree<f32, @all>`
    """

    name = "optim.join"

    parts = var_operand_def(TreeType)
    whole = result_def(TreeType)

    traits = traits_def(Pure(), MovesValues(), Regroups(), Leafwise(), PerDevice(), Traffic())

    assembly_format = "$parts attr-dict `:` type($parts) `->` type($whole)"

    def __init__(self, parts: Sequence[SSAValue], whole_type: Attribute) -> None:
        super().__init__(operands=[parts], result_types=[whole_type])

    def verify_(self) -> None:
        _verify_partition(self, self.whole.type, list(self.parts.types))


@irdl_op_definition
class ReshapeOp(IRDLOperation):
    """Give the values of a tree, leaf after leaf in row-major order, to the leaves of another set or extent.

    Where both sides have leaves of equal sizes no data moves.

    C1  operand and result have one element type
    C2  they hold the same number of values

    Example: `%r = optim.reshape %v : !optim.tree<f32, @v_row> -> !optim.tree<f32, @all, rows>`
    """

    name = "optim.reshape"

    operand = operand_def(TreeType)
    result = result_def(TreeType)

    traits = traits_def(Pure(), MovesValues(), TakesWholeTrees(), _LeafwiseReshape(), _ReshapePerDevice(), Traffic())

    assembly_format = "$operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, operand: SSAValue, result_type: Attribute) -> None:
        super().__init__(operands=[operand], result_types=[result_type])

    def verify_(self) -> None:
        verify_leaf_sets(self)
        old, new = self.operand.type, self.result.type
        assert isinstance(old, TreeType)
        assert isinstance(new, TreeType)
        if old.element != new.element:
            raise VerifyException(f"C1: {old.element} is not {new.element}")
        sizes = [sum(math.prod(s) for s in shapes_of(self, type_)) for type_ in (old, new)]
        if sizes[0] != sizes[1]:
            raise VerifyException(f"C2: {old} holds {sizes[0]} values, {new} holds {sizes[1]}")


@irdl_op_definition
class UnpackOp(IRDLOperation):
    """The values of a small tree as step-level scalars, leaf after leaf in row-major order.

    C1  there is a result for every value, of the element type

    Example: `%a, %b = optim.unpack %s : !optim.tree<f32, @scales> -> f32, f32`
    """

    name = "optim.unpack"

    operand = operand_def(TreeType)
    outputs = var_result_def()

    traits = traits_def(Pure(), MovesValues(), TakesWholeTrees(), Traffic())

    assembly_format = "$operand attr-dict `:` type($operand) `->` type($outputs)"

    def __init__(self, operand: SSAValue, result_types: Sequence[Attribute]) -> None:
        super().__init__(operands=[operand], result_types=[result_types])

    def verify_(self) -> None:
        verify_leaf_sets(self)
        _verify_packing(self, self.operand.type, list(self.result_types))


@irdl_op_definition
class PackOp(IRDLOperation):
    """Put step-level scalars into a tree; the inverse of `optim.unpack`.

    C1  there is an operand for every value, of the element type

    Example: `%s = optim.pack %a, %b : f32, f32 -> !optim.tree<f32, @scales>`
    """

    name = "optim.pack"

    inputs = var_operand_def()
    result = result_def(TreeType)

    traits = traits_def(Pure(), MovesValues(), TakesWholeTrees(), Traffic())

    assembly_format = "$inputs attr-dict `:` type($inputs) `->` type($result)"

    def __init__(self, inputs: Sequence[SSAValue], result_type: Attribute) -> None:
        super().__init__(operands=[inputs], result_types=[result_type])

    def verify_(self) -> None:
        verify_leaf_sets(self)
        _verify_packing(self, self.result.type, list(self.operand_types))


def _verify_packing(op: Operation, tree: Attribute, scalars: Sequence[Attribute]) -> None:
    assert isinstance(tree, TreeType)
    size = sum(map(math.prod, shapes_of(op, tree)))
    if len(scalars) != size or any(type_ != tree.element for type_ in scalars):
        raise VerifyException(f"C1: {tree} holds {size} values, got {', '.join(map(str, scalars))}")


def _leaf_sizes(user: Operation, type_: Attribute) -> list[tuple[Leaf, int]]:
    """The leaves of a tree type, and how many values it has for each."""
    assert isinstance(type_, TreeType)
    return [(leaf, math.prod(leaf.shape_of(type_.extent.data))) for leaf in leaf_set(user, type_.leaves)]
