"""Random numbers from JAX's keys: the type `!optim.key`, `optim.split_key` and `optim.random`."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, IntegerType, StringAttr, i64
from xdsl.ir import Attribute, Data, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Keyword
from optcc.dialect.interfaces import Level, TakesWholeTrees, Traffic
from optcc.dialect.leaves import leaf_set
from optcc.dialect.types import TreeType


@irdl_attr_definition
class KeyType(ParametrizedAttribute, TypeAttribute):
    """A key of JAX's random numbers, by the name of its implementation: `!optim.key<"threefry2x32">`."""

    name = "optim.key"

    implementation: StringAttr

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return [StringAttr(parser.parse_str_literal())]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.implementation.data)

    @staticmethod
    def of(implementation: str) -> KeyType:
        """The type of the keys of an implementation."""
        return KeyType(StringAttr(implementation))


class Distribution(Keyword):
    """What random numbers are drawn from."""

    NORMAL = "normal"
    """The standard normal distribution, as `jax.random.normal` draws it."""


@irdl_attr_definition
class DistributionAttr(Data[Distribution]):
    """A distribution, as `<normal>`."""

    name = "optim.distribution"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Distribution:
        with parser.in_angle_brackets():
            return parser.parse_str_enum(Distribution)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self.data)


def _parse_picks(parser: Parser) -> tuple[list[int], int]:
    """`[0, 2] of 3`"""

    def number() -> int:
        return parser.parse_integer(allow_boolean=False, allow_negative=False)

    picks = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, number)
    parser.parse_keyword("of")
    return picks, number()


def _verify_picks(picks: Sequence[int], total: int) -> None:
    if total < 0 or any(not 0 <= pick < total for pick in picks):
        raise VerifyException(f"C1: a key that is split into {total} has no part {list(picks)}")


@irdl_op_definition
class SplitKeyOp(IRDLOperation):
    """One of the keys that `jax.random.split` makes of a key.

    C1  the number of the part is one of the parts
    C2  operand and result are keys of one implementation

    Example: `%k = optim.split_key %key [0] of 2 : !optim.key<"threefry2x32">`
    """

    name = "optim.split_key"

    key = operand_def(KeyType)
    part = prop_def(IntegerAttr)
    total = prop_def(IntegerAttr)
    result = result_def(KeyType)

    traits = traits_def(Pure())

    def __init__(self, key: SSAValue, part: int, total: int) -> None:
        super().__init__(
            operands=[key],
            properties={"part": IntegerAttr(part, i64), "total": IntegerAttr(total, i64)},
            result_types=[key.type],
        )

    def verify_(self) -> None:
        _verify_picks([self.part.value.data], self.total.value.data)
        if self.key.type != self.result.type:
            raise VerifyException(f"C2: {self.key.type} is split into {self.result.type}")

    @classmethod
    def parse(cls, parser: Parser) -> SplitKeyOp:
        key = parser.parse_unresolved_operand()
        picks, total = _parse_picks(parser)
        if len(picks) != 1:
            parser.raise_error("C1: one part of a key is taken")
        parser.parse_punctuation(":")
        return cls(parser.resolve_operand(key, parser.parse_type()), picks[0], total)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_ssa_value(self.key)
        printer.print_string(f" [{self.part.value.data}] of {self.total.value.data} : ")
        printer.print_attribute(self.key.type)


@irdl_op_definition
class RandomOp(IRDLOperation):
    """Draw random numbers for every element of every leaf, each leaf from a key of its own.

    The key is split into `total` keys; `parts` says which of them each leaf draws from. The numbers are those of
    `jax.random` for the leaf's shape and the element type.

    C1  every part is one of the parts
    C2  there is one part for each leaf of the result
    C3  the result has elements, which are floats, or complex numbers of floats

    Example: `%z = optim.random <normal> %key [0, 1] of 2 : !optim.key<"threefry2x32"> -> !optim.tree<f32, @all>`
    """

    name = "optim.random"

    distribution = prop_def(DistributionAttr)
    key = operand_def(KeyType)
    parts = prop_def(DenseArrayBase.constr(i64))
    total = prop_def(IntegerAttr)
    result = result_def(TreeType)

    traits = traits_def(Pure(), Level(), TakesWholeTrees(), Traffic())

    def __init__(
        self, distribution: Distribution, key: SSAValue, parts: Sequence[int], total: int, result_type: Attribute
    ) -> None:
        super().__init__(
            operands=[key],
            properties={
                "distribution": DistributionAttr(distribution),
                "parts": DenseArrayBase.from_list(i64, list(parts)),
                "total": IntegerAttr(total, i64),
            },
            result_types=[result_type],
        )

    @property
    def part_of_leaf(self) -> tuple[int, ...]:
        """The number of the key that each leaf draws from."""
        return tuple(int(part) for part in self.parts.get_values())

    def verify_(self) -> None:
        _verify_picks(self.part_of_leaf, self.total.value.data)
        type_ = self.result.type
        assert isinstance(type_, TreeType)
        leaves = leaf_set(self, type_.leaves)
        if len(leaves) != len(self.part_of_leaf):
            raise VerifyException(f"C2: {len(leaves)} leaves, but {len(self.part_of_leaf)} parts of the key")
        if not type_.has_elements or isinstance(type_.element, IntegerType):
            raise VerifyException(f"C3: random numbers are float elements, got {type_}")

    @classmethod
    def parse(cls, parser: Parser) -> RandomOp:
        distribution = DistributionAttr.parse_parameter(parser)
        key = parser.parse_unresolved_operand()
        picks, total = _parse_picks(parser)
        parser.parse_punctuation(":")
        operand = parser.resolve_operand(key, parser.parse_type())
        parser.parse_punctuation("->")
        return cls(distribution, operand, picks, total, parser.parse_type())

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        self.distribution.print_parameter(printer)
        printer.print_string(" ")
        printer.print_ssa_value(self.key)
        printer.print_string(f" {list(self.part_of_leaf)} of {self.total.value.data} : ")
        printer.print_attribute(self.key.type)
        printer.print_string(" -> ")
        printer.print_attribute(self.result.type)
