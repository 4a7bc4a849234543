"""The tree type of the `optim` dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, cast

from xdsl.dialects.builtin import AnyFloat, ComplexType, IntegerType, SymbolRefAttr
from xdsl.ir import Attribute, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Extent, ExtentAttr

ComplexNumber: TypeAlias = ComplexType[AnyFloat | IntegerType]
ScalarType: TypeAlias = AnyFloat | IntegerType | ComplexNumber
"""What an element, a per-leaf value or a step-level scalar can be."""


def is_scalar_type(type_: Attribute) -> bool:
    """Whether `type_` is a float, an integer or a complex number of floats."""
    if isinstance(type_, ComplexType):
        return isinstance(cast(ComplexNumber, type_).element_type, AnyFloat)
    return isinstance(type_, AnyFloat | IntegerType)


@irdl_attr_definition
class TreeType(ParametrizedAttribute, TypeAttribute):
    """Values of one element type over a leaf set: `!optim.tree<f32, @all>`.

    With the extent `per_leaf`, `!optim.tree<f32, @all, per_leaf>`, one scalar for each leaf; with the name of an axis
    extent, `!optim.tree<f32, @all, rows>`, what is left of each leaf when the axes that it does not keep are folded.
    """

    name = "optim.tree"

    element: Attribute
    leaves: SymbolRefAttr
    extent: ExtentAttr

    @staticmethod
    def of(element: Attribute, leaves: str | SymbolRefAttr, extent: str = Extent.ELEMENTS) -> TreeType:
        """The tree type over the leaf set named `leaves`."""
        if isinstance(leaves, str):
            leaves = SymbolRefAttr(leaves)
        return TreeType(element, leaves, ExtentAttr(str(extent)))

    @property
    def has_elements(self) -> bool:
        """True for a value with the shapes of the leaves."""
        return self.extent.data == Extent.ELEMENTS

    @property
    def is_per_leaf(self) -> bool:
        """True for one scalar a leaf."""
        return self.extent.data == Extent.PER_LEAF

    @property
    def has_axes(self) -> bool:
        """True for an axis extent."""
        return not self.has_elements and not self.is_per_leaf

    def with_element(self, element: Attribute) -> TreeType:
        """The same leaves and extent with another element type."""
        return TreeType(element, self.leaves, self.extent)

    def with_leaves(self, leaves: str) -> TreeType:
        """The same element type and extent over another leaf set."""
        return TreeType(self.element, SymbolRefAttr(leaves), self.extent)

    def with_extent(self, extent: str) -> TreeType:
        """The same element type and leaves with another extent."""
        return TreeType.of(self.element, self.leaves, extent)

    def verify(self) -> None:
        if not is_scalar_type(self.element):
            raise VerifyException(f"C1: the element type of a tree must be a number, got {self.element}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            element = parser.parse_type()
            parser.parse_punctuation(",")
            leaves = parser.parse_symbol_name()
            extent: str = Extent.ELEMENTS
            if parser.parse_optional_punctuation(",") is not None:
                extent = parser.parse_identifier()
        return [element, SymbolRefAttr(leaves), ExtentAttr(str(extent))]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_attribute(self.element)
            printer.print_string(", ")
            printer.print_attribute(self.leaves)
            if not self.has_elements:
                printer.print_string(f", {self.extent.data}")


def is_coarser(extent: str, than: str) -> bool:
    """Whether folding a value of extent `than` can give one of `extent`.

    Elements come first, then axis extents, then `per_leaf`. Of two axis extents the one whose name continues that of
    the other is coarser: `rows.heads` than `rows`.
    """

    def rank(name: str) -> int:
        return 0 if name == Extent.ELEMENTS else 2 if name == Extent.PER_LEAF else 1

    return rank(extent) > rank(than) or extent.startswith(f"{than}.")


def element_type(type_: Attribute) -> Attribute:
    """What a `map` body sees of an operand or result: its element type, or the scalar type itself."""
    return type_.element if isinstance(type_, TreeType) else type_


def element_bytes(type_: Attribute) -> int:
    """Bytes that one value of a scalar type takes in memory; an i1 takes one."""
    if isinstance(type_, ComplexType):
        return 2 * element_bytes(cast(ComplexNumber, type_).element_type)
    assert isinstance(type_, AnyFloat | IntegerType)
    return max(1, type_.bitwidth // 8)
