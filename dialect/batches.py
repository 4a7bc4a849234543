"""`stack` and `unstack`: from the leaves of a tree to batches of matrices, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Attribute, Data, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.interfaces import Moved, Product, RunsAlone, TakesWholeTrees
from optcc.dialect.leaves import leaf_set, tree_bytes, verify_leaf_sets
from optcc.dialect.types import TreeType


@dataclass(frozen=True, slots=True)
class Place:
    """Where a leaf is in a set of batches: the order of its axes, and the number of the batch."""

    order: tuple[int, ...]
    batch: int

    @property
    def inverse(self) -> tuple[int, ...]:
        """The order that puts the axes back."""
        return tuple(sorted(range(len(self.order)), key=lambda i: self.order[i]))


@irdl_attr_definition
class PlacesAttr(Data[tuple[Place, ...]]):
    """The places of the leaves of a set, in its order, as `<[0, 1] in 0, [1, 0] in 0>`."""

    name = "optim.places"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[Place, ...]:
        def number() -> int:
            return parser.parse_integer(allow_boolean=False, allow_negative=False)

        def place() -> Place:
            order = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, number)
            parser.parse_keyword("in")
            return Place(tuple(order), number())

        return tuple(parser.parse_comma_separated_list(parser.Delimiter.ANGLE, place))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_list(self.data, lambda p: printer.print_string(f"{list(p.order)} in {p.batch}"))


def _verify_places(op: StackOp | UnstackOp, leaves: Attribute, batches: Attribute) -> None:
    verify_leaf_sets(op)
    assert isinstance(leaves, TreeType)
    assert isinstance(batches, TreeType)
    if leaves.element != batches.element or not leaves.has_elements or not batches.has_elements:
        raise VerifyException(f"C1: {leaves} and {batches} are not elements of one type")
    members, places = leaf_set(op, leaves.leaves), op.places.data
    if len(members) != len(places):
        raise VerifyException(f"C2: {len(members)} leaves, but {len(places)} places")
    sizes = [0] * len(leaf_set(op, batches.leaves))
    for leaf, place in zip(members, places, strict=True):
        if sorted(place.order) != list(range(len(leaf.shape))):
            raise VerifyException(f'C2: {list(place.order)} is no order of the axes of leaf "{leaf.path}"')
        if place.batch >= len(sizes):
            raise VerifyException(f'C3: leaf "{leaf.path}" is in batch {place.batch} of {len(sizes)}')
        sizes[place.batch] += leaf.size
    for size, batch in zip(sizes, leaf_set(op, batches.leaves), strict=True):
        if len(batch.shape) != 3 or batch.size != size:
            raise VerifyException(f'C3: batch "{batch.path}" of shape {list(batch.shape)} is given {size} values')


class _Copy(Product):
    """The traffic of an op that puts values elsewhere."""

    def moved(self, op: Operation) -> Moved:
        return Moved(tree_bytes(op, op.operands[0].type), tree_bytes(op, op.results[0].type))


@irdl_op_definition
class StackOp(IRDLOperation):
    """Put the leaves of a tree into batches of matrices `[number, rows, columns]`.

    The axes of a leaf are put in the order of its place, and its values, row-major, behind those of the leaves before
    it in its batch.

    C1  operand and result are elements of one type
    C2  there is a place for each leaf, and its order is one of the leaf's axes
    C3  the batches are of rank 3, and full

    Example: `%b = optim.stack <[0, 1] in 0, [1, 0] in 0> %m : !optim.tree<f32, @all> -> !optim.tree<f32, @batches>`
    """

    name = "optim.stack"

    places = prop_def(PlacesAttr)
    operand = operand_def(TreeType)
    result = result_def(TreeType)

    traits = traits_def(Pure(), RunsAlone(), TakesWholeTrees(), _Copy())

    assembly_format = "$places $operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, places: Sequence[Place], operand: SSAValue, result_type: Attribute) -> None:
        super().__init__(
            operands=[operand], result_types=[result_type], properties={"places": PlacesAttr(tuple(places))}
        )

    def verify_(self) -> None:
        _verify_places(self, self.operand.type, self.result.type)


@irdl_op_definition
class UnstackOp(IRDLOperation):
    """Take the leaves of a tree out of batches of matrices; the inverse of `optim.stack`, with its constraints.

    Example: `%m = optim.unstack <[0, 1] in 0, [1, 0] in 0> %b : !optim.tree<f32, @batches> -> !optim.tree<f32, @all>`
    """

    name = "optim.unstack"

    places = prop_def(PlacesAttr)
    operand = operand_def(TreeType)
    result = result_def(TreeType)

    traits = traits_def(Pure(), RunsAlone(), TakesWholeTrees(), _Copy())

    assembly_format = "$places $operand attr-dict `:` type($operand) `->` type($result)"

    def __init__(self, places: Sequence[Place], operand: SSAValue, result_type: Attribute) -> None:
        super().__init__(
            operands=[operand], result_types=[result_type], properties={"places": PlacesAttr(tuple(places))}
        )

    def verify_(self) -> None:
        _verify_places(self, self.result.type, self.operand.type)
