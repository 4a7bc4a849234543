"""Step-level scalars and opaque functions: `optim.hyper` and `optim.call`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xdsl.dialects.builtin import AnyFloat, FloatAttr, StringAttr
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException
from xdsl.utils.hints import isa

from optcc.dialect.attributes import parse_text
from optcc.dialect.interfaces import Barrier, RunsAlone, TakesWholeTrees
from optcc.dialect.leaves import verify_leaf_sets
from optcc.dialect.random import KeyType
from optcc.dialect.types import TreeType, is_scalar_type


@irdl_op_definition
class HyperOp(IRDLOperation):
    """A hyperparameter: a scalar input of the program that is known by its name.

    The name is the chain index, or indices, and the keyword: `1.learning_rate`. The default is the value given when
    the chain was written; without one, the caller must bind the name.

    C1  the name is made of words, which may have hyphens, slashes and colons, joined by dots
    C2  the result, and the default if there is one, is a float of one type

    Example: `%lr = optim.hyper "1.learning_rate" = 3.0e-04 : f64`
    """

    name = "optim.hyper"

    key = prop_def(StringAttr)
    default = opt_prop_def(FloatAttr)
    result = result_def()

    traits = traits_def(Pure())

    def __init__(self, key: str, type_: Attribute, default: FloatAttr | None = None) -> None:
        super().__init__(properties={"key": StringAttr(key), "default": default}, result_types=[type_])

    def verify_(self) -> None:
        if not re.fullmatch(r"[\w/:-]+(\.[\w/:-]+)*", self.key.data):
            raise VerifyException(f'C1: "{self.key.data}" is not a hyperparameter name such as "1.learning_rate"')
        if not isinstance(self.result.type, AnyFloat):
            raise VerifyException(f"C2: a hyperparameter is a float, got {self.result.type}")
        if self.default is not None and self.default.type != self.result.type:
            raise VerifyException(f"C2: the default is {self.default.type}, but the result is {self.result.type}")

    @classmethod
    def parse(cls, parser: Parser) -> HyperOp:
        key = parse_text(parser)
        if parser.parse_optional_punctuation("=") is None:
            parser.parse_punctuation(":")
            return cls(key, parser.parse_type())
        default = parser.parse_attribute()
        if not isa(default, FloatAttr[AnyFloat]):
            parser.raise_error(f"C2: the default of a hyperparameter is a float, got {default}")
        return cls(key, default.type, default)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_string_literal(self.key.data)
        if self.default is not None:
            printer.print_string(" = ")
            self.default.print_without_type(printer)
        printer.print_string(" : ")
        printer.print_attribute(self.result.type)


class _CallBarrier(Barrier):
    def label(self, op: Operation) -> str:
        assert isinstance(op, CallOp)
        return op.callee.data


@irdl_op_definition
class CallOp(IRDLOperation):
    """Call a JAX function that the IR does not look into, known to the program by name.

    The function is pure. A call is a barrier for sweeps: what it takes is in memory before it, what it gives after it.

    C1  the callee has a name
    C2  operands and results are trees, scalars or keys

    Example: `%lr = optim.call "1.schedule"(%count) : (i32) -> (f32)`
    """

    name = "optim.call"

    callee = prop_def(StringAttr)
    arguments = var_operand_def()
    outputs = var_result_def()

    traits = traits_def(Pure(), RunsAlone(), TakesWholeTrees(), _CallBarrier())

    def __init__(self, callee: str, arguments: Sequence[SSAValue], result_types: Sequence[Attribute]) -> None:
        super().__init__(operands=[arguments], result_types=[result_types], properties={"callee": StringAttr(callee)})

    def verify_(self) -> None:
        verify_leaf_sets(self)
        if not self.callee.data:
            raise VerifyException("C1: the callee has no name")
        for type_ in (*self.operand_types, *self.result_types):
            if not isinstance(type_, TreeType | KeyType) and not is_scalar_type(type_):
                raise VerifyException(f"C2: {type_} is neither a tree, a scalar nor a key")

    @classmethod
    def parse(cls, parser: Parser) -> CallOp:
        callee = parse_text(parser)
        operands = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_unresolved_operand)
        parser.parse_punctuation(":")
        position = parser.pos
        types = parser.parse_function_type()
        return cls(callee, parser.resolve_operands(operands, types.inputs.data, position), types.outputs.data)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_string_literal(self.callee.data)
        with printer.in_parens():
            printer.print_list(self.arguments, printer.print_ssa_value)
        printer.print_string(" : ")
        printer.print_function_type(self.arguments.types, self.outputs.types)
