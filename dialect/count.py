"""`optim.count`, the number of elements that the values of an extent stand for."""

from __future__ import annotations

import math

from xdsl.dialects.builtin import AnyFloat
from xdsl.ir import Attribute
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, result_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Extent, ExtentAttr
from optcc.dialect.interfaces import Leafwise, Level, PerDevice, SplitsByPart, Traffic
from optcc.dialect.leaves import leaf_set
from optcc.dialect.types import TreeType


@irdl_op_definition
class CountOp(IRDLOperation):
    """How many elements of its leaf each value of an extent stands for: what a mean over the rest divides by.

    For `per_leaf` that is the size of the leaf, for an axis extent the product of the axes that it does not keep; of a
    split leaf that of the whole. It is 1 where a leaf has no elements.

    C1  the result is a per-leaf tree of floats
    C2  every leaf of its set has the extent

    Example: `%n = optim.count per rows : !optim.tree<f32, @all, per_leaf>`
    """

    name = "optim.count"

    extent = prop_def(ExtentAttr)
    result = result_def(TreeType)

    traits = traits_def(Pure(), Level(), SplitsByPart(), Leafwise(), PerDevice(), Traffic())

    def __init__(self, extent: str, result_type: Attribute) -> None:
        super().__init__(properties={"extent": ExtentAttr(str(extent))}, result_types=[result_type])

    @property
    def counts(self) -> list[int]:
        """The number for each leaf."""
        type_ = self.result.type
        assert isinstance(type_, TreeType)
        extent = self.extent.data
        leaves = leaf_set(self, type_.leaves)
        return [
            leaf.size // math.prod(leaf.shape_of(extent)) * math.prod(s.parts for s in leaf.split_folds(extent))
            if leaf.size
            else 1
            for leaf in leaves
        ]

    def verify_(self) -> None:
        type_ = self.result.type
        assert isinstance(type_, TreeType)
        if not type_.is_per_leaf or not isinstance(type_.element, AnyFloat):
            raise VerifyException(f"C1: a count is a per-leaf tree of floats, got {type_}")
        for leaf in leaf_set(self, type_.leaves):
            if self.extent.data not in {*Extent, *dict(leaf.axes)}:
                raise VerifyException(f'C2: leaf "{leaf.path}" has no axis extent "{self.extent.data}"')

    @classmethod
    def parse(cls, parser: Parser) -> CountOp:
        parser.parse_keyword("per")
        extent = parser.parse_identifier()
        parser.parse_punctuation(":")
        return cls(extent, parser.parse_type())

    def print(self, printer: Printer) -> None:
        printer.print_string(f" per {self.extent.data} : ")
        printer.print_attribute(self.result.type)
