"""`optim.leaves`, the definition of a leaf set, and the lookup of one."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr, SymbolRefAttr
from xdsl.ir import Operation
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import SymbolOpInterface, SymbolTable
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Leaf, LeafTableAttr
from optcc.dialect.types import TreeType


@irdl_op_definition
class LeavesOp(IRDLOperation):
    """Define a leaf set: an ordered list of leaves, each a path and a shape.

    C1  no two leaves have one path

    Example: `optim.leaves @all = ["wte" : [50257, 768], "scale" : []]`
    """

    name = "optim.leaves"

    sym_name = prop_def(StringAttr)
    table = prop_def(LeafTableAttr)

    traits = traits_def(SymbolOpInterface())

    def __init__(self, sym_name: str, leaves: tuple[Leaf, ...]) -> None:
        super().__init__(properties={"sym_name": StringAttr(sym_name), "table": LeafTableAttr(leaves)})

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The leaves in pytree order."""
        return self.table.data

    def verify_(self) -> None:
        seen: set[str] = set()
        for leaf in self.leaves:
            if leaf.path in seen:
                raise VerifyException(f'C1: leaf set @{self.sym_name.data} has the path "{leaf.path}" twice')
            seen.add(leaf.path)

    @classmethod
    def parse(cls, parser: Parser) -> LeavesOp:
        name = parser.parse_symbol_name()
        parser.parse_punctuation("=")
        return cls(name.data, LeafTableAttr.parse_parameter(parser))

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_symbol_name(self.sym_name.data)
        printer.print_string(" = ")
        self.table.print_parameter(printer)


def leaf_set(user: Operation, symbol: SymbolRefAttr) -> tuple[Leaf, ...]:
    """The leaves that `symbol` names, seen from `user`.

    Raises VerifyException when the module has no such leaf set.
    """
    found = SymbolTable.lookup_symbol(user, symbol)
    if not isinstance(found, LeavesOp):
        raise VerifyException(f"leaf set {symbol} is not defined; add `optim.leaves {symbol} = [...]` to the module")
    return found.leaves


def verify_leaf_sets(op: Operation) -> None:
    """Check that every tree operand and result of `op` is over a leaf set of its module."""
    types = {*op.operand_types, *op.result_types}
    for type_ in types:
        if isinstance(type_, TreeType):
            leaf_set(op, type_.leaves)
