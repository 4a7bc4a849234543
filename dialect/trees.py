"""Ops that change what a tree value spans: `optim.reduce`, `optim.split` and `optim.join`."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import AnyFloat
from xdsl.ir import Attribute, SSAValue
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
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Combiner, CombinerAttr, Extent
from optcc.dialect.leaves import leaf_set, verify_leaf_sets
from optcc.dialect.types import TreeType


@irdl_op_definition
class ReduceOp(IRDLOperation):
    """Fold the values of a tree, over each leaf or over the whole set.

    Over a leaf the result is a per-leaf tree, over the set a scalar; the order of the fold is fixed for each
    backend. The fold of no value at all is the identity of the combiner (see `optim.map`).

    C1  the combiner is not `none`
    C2  the result is the operand's element type, or its per-leaf tree if the operand has elements
    C3  the element type is a float

    Example: `%s = optim.reduce <add> %g : !optim.tree<f32, @all> -> f32`
    """

    name = "optim.reduce"

    combiner = prop_def(CombinerAttr)
    operand = operand_def(TreeType)
    result = result_def()

    traits = traits_def(Pure())

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
        tree = self.tree
        allowed = {tree.element}
        if tree.has_elements:
            allowed.add(TreeType.of(tree.element, tree.leaves, Extent.PER_LEAF))
        if self.result.type not in allowed:
            raise VerifyException(f"C2: {tree} cannot be reduced to {self.result.type}")
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
    C2  every leaf of the whole, path and shape, is in exactly one part

    Example: `%a, %b = optim.split %g : !optim.tree<f32, @all> -> !optim.tree<f32, @decay>, !optim.tree<f32, @rest>`
    """

    name = "optim.split"

    whole = operand_def(TreeType)
    parts = var_result_def(TreeType)

    traits = traits_def(Pure())

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

    traits = traits_def(Pure())

    assembly_format = "$parts attr-dict `:` type($parts) `->` type($whole)"

    def __init__(self, parts: Sequence[SSAValue], whole_type: Attribute) -> None:
        super().__init__(operands=[parts], result_types=[whole_type])

    def verify_(self) -> None:
        _verify_partition(self, self.whole.type, list(self.parts.types))
