"""`matmul`: products of batches of matrices."""

from __future__ import annotations

import math

from xdsl.dialects.builtin import AnyFloat, UnitAttr
from xdsl.ir import Attribute, Data, Operation, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import AttrParser, Parser, UnresolvedOperand
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.str_enum import StrEnum

from optcc.dialect.interfaces import Moved, Product, RunsAlone, TakesWholeTrees
from optcc.dialect.leaves import shapes_of, tree_bytes, verify_leaf_sets
from optcc.dialect.types import TreeType

Shape = tuple[int, ...]


class Precision(StrEnum):
    """How exactly a device multiplies: fast, as it does by default, or to the last bit of the element type."""

    DEFAULT = "default"
    HIGH = "high"
    HIGHEST = "highest"


@irdl_attr_definition
class PrecisionAttr(Data[Precision]):
    """A precision, as `<highest>`."""

    name = "optim.precision"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Precision:
        with parser.in_angle_brackets():
            return parser.parse_str_enum(Precision)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self.data)


class _MatmulTraffic(Product):
    def moved(self, op: Operation) -> Moved:
        read = sum(tree_bytes(op, v.type) for v in dict.fromkeys(op.operands))
        return Moved(read, tree_bytes(op, op.results[0].type))

    def flops(self, op: Operation) -> int:
        assert isinstance(op, MatmulOp)
        lhs, result = (shapes_of(op, t) for t in (op.left, op.type))
        inner = [shape[-2 if op.transpose_lhs else -1] for shape in lhs]
        return sum(2 * math.prod(shape) * n for shape, n in zip(result, inner, strict=True))


@irdl_op_definition
class MatmulOp(IRDLOperation):
    """The products of two batches of matrices, leaf by leaf; with `plus`, `alpha * (lhs @ rhs) + beta * addend`.

    The sets of operands and result correspond by the order of their leaves. The last two axes are a matrix, those
    before number the matrices. A transposed operand has its last two axes swapped.

    C1  operands and result are float elements of one type
    C2  the shapes of corresponding leaves meet
    C3  an addend comes with two scalars, of the element type, and is of the type of the result

    Example: `%a = optim.matmul %x, transposed %x : !optim.tree<f32, @x>, !optim.tree<f32, @x> -> !optim.tree<f32, @a>`
    """

    name = "optim.matmul"

    lhs = operand_def(TreeType)
    rhs = operand_def(TreeType)
    alpha = opt_operand_def()
    beta = opt_operand_def()
    addend = opt_operand_def(TreeType)
    transpose_lhs = opt_prop_def(UnitAttr)
    transpose_rhs = opt_prop_def(UnitAttr)
    precision = prop_def(PrecisionAttr)
    result = result_def(TreeType)

    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(Pure(), RunsAlone(), TakesWholeTrees(), _MatmulTraffic())

    def __init__(
        self,
        lhs: SSAValue,
        rhs: SSAValue,
        result_type: Attribute,
        *,
        transposed: tuple[bool, bool] = (False, False),
        plus: tuple[SSAValue, SSAValue, SSAValue] | None = None,
        precision: Precision = Precision.DEFAULT,
    ) -> None:
        """`plus` are alpha, beta and the addend; without them the result is the product."""
        properties: dict[str, Attribute] = {"precision": PrecisionAttr(precision)}
        names = ("transpose_lhs", "transpose_rhs")
        properties |= {name: UnitAttr() for name, flag in zip(names, transposed, strict=True) if flag}
        rest: list[list[SSAValue]] = [[v] for v in plus] if plus else [[], [], []]
        super().__init__(operands=[lhs, rhs, *rest], result_types=[result_type], properties=properties)

    @property
    def left(self) -> TreeType:
        """The type of the left operand."""
        assert isinstance(self.lhs.type, TreeType)
        return self.lhs.type

    @property
    def type(self) -> TreeType:
        """The type of the result."""
        assert isinstance(self.result.type, TreeType)
        return self.result.type

    @property
    def transposed(self) -> tuple[bool, bool]:
        """Whether the operands are transposed."""
        return self.transpose_lhs is not None, self.transpose_rhs is not None

    @property
    def plus(self) -> tuple[SSAValue, SSAValue, SSAValue] | None:
        """Alpha, beta and the addend, if there is one."""
        if self.alpha is None or self.beta is None or self.addend is None:
            return None
        return self.alpha, self.beta, self.addend

    def verify_(self) -> None:
        verify_leaf_sets(self)
        trees = [self.left, self.rhs.type, self.type]
        if any(not isinstance(t, TreeType) or not t.has_elements or t.element != self.type.element for t in trees):
            raise VerifyException(f"C1: {', '.join(map(str, trees))} are not elements of one type")
        if not isinstance(self.type.element, AnyFloat):
            raise VerifyException(f"C1: the element type must be a float, got {self.type.element}")
        shapes = [shapes_of(self, t) for t in trees if isinstance(t, TreeType)]
        if len({len(x) for x in shapes}) > 1 or any(
            _product(a, b, self.transposed) != c for a, b, c in zip(*shapes, strict=True)
        ):
            raise VerifyException(f"C2: {trees[0]} and {trees[1]} have no product {trees[2]}")
        given = [v for v in (self.alpha, self.beta, self.addend) if v is not None]
        if given and [v.type for v in given] != [self.type.element, self.type.element, self.type]:
            raise VerifyException("C3: an addend has two scalars of its element type before it, and the result's type")

    @classmethod
    def parse(cls, parser: Parser) -> MatmulOp:
        precision = PrecisionAttr.parse_parameter(parser)
        transposed: list[bool] = []
        names: list[UnresolvedOperand] = []
        for i in range(2):
            if i:
                parser.parse_punctuation(",")
            transposed.append(parser.parse_optional_keyword("transposed") is not None)
            names.append(parser.parse_unresolved_operand())
        scalars = None
        if parser.parse_optional_keyword("plus"):
            with parser.in_parens():
                scalars = [parser.parse_unresolved_operand()]
                for _ in range(2):
                    parser.parse_punctuation(",")
                    scalars.append(parser.parse_unresolved_operand())
        parser.parse_punctuation(":")
        types = parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_type)
        if len(types) != 2:
            parser.raise_error("a product has two factors")
        parser.parse_punctuation("->")
        result = parser.parse_type()
        if not isinstance(result, TreeType):
            parser.raise_error(f"C1: {result} is no tree")
        lhs, rhs = (parser.resolve_operand(name, t) for name, t in zip(names, types, strict=True))
        plus = None
        if scalars:
            wanted = (result.element, result.element, result)
            alpha, beta, addend = (parser.resolve_operand(n, t) for n, t in zip(scalars, wanted, strict=True))
            plus = (alpha, beta, addend)
        flags = (transposed[0], transposed[1])
        return cls(lhs, rhs, result, transposed=flags, plus=plus, precision=precision)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        self.precision.print_parameter(printer)
        for i, (value, flag) in enumerate(zip((self.lhs, self.rhs), self.transposed, strict=True)):
            printer.print_string((", " if i else " ") + ("transposed " if flag else ""))
            printer.print_ssa_value(value)
        if self.plus:
            printer.print_string(" plus ")
            with printer.in_parens():
                printer.print_list(self.plus, printer.print_ssa_value)
        printer.print_string(" : ")
        printer.print_list((self.lhs.type, self.rhs.type), printer.print_attribute)
        printer.print_string(" -> ")
        printer.print_attribute(self.result.type)


def _product(lhs: Shape, rhs: Shape, transposed: tuple[bool, bool]) -> Shape | None:
    """The shape of the products of two batches of matrices; None if they have none."""
    if len(lhs) < 2 or len(lhs) != len(rhs) or lhs[:-2] != rhs[:-2]:
        return None
    left, right = ((s[:-3:-1] if flag else s[-2:]) for s, flag in zip((lhs, rhs), transposed, strict=True))
    return (*lhs[:-2], left[0], right[1]) if left[1] == right[0] else None
