"""`optim.leaves`, the definition of a leaf set, and the lookup of one."""

from __future__ import annotations

import math
import re

from xdsl.dialects.builtin import StringAttr, SymbolRefAttr
from xdsl.ir import Attribute, Operation
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, traits_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import SymbolOpInterface, SymbolTable
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Extent, Leaf, LeafTableAttr
from optcc.dialect.types import TreeType, element_bytes


@irdl_op_definition
class LeavesOp(IRDLOperation):
    """Define a leaf set: an ordered list of leaves, each a path and a shape.

    C1  no two leaves have one path
    C2  the axes that a leaf's axis extent keeps are axes of the leaf, in ascending order
    C3  an axis extent keeps none that an extent whose name it continues has folded
    C4  the name of an axis extent is made of words, joined by dots, the first not `elements` or `per_leaf`; a leaf has
        it once
    C5  an axis that a leaf is split along is one of its axes, and no axis of the mesh splits a leaf twice

    Example: `optim.leaves @all = ["wte" : [50257, 768] {rows = [0], columns = [1]}, "scale" : []]`
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
            _verify_axes(leaf)

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


def _verify_axes(leaf: Leaf) -> None:
    axes = dict(leaf.axes)
    for name, kept in leaf.axes:
        if list(kept) != sorted({axis for axis in kept if 0 <= axis < len(leaf.shape)}):
            raise VerifyException(f'C2: leaf "{leaf.path}" cannot keep the axes {list(kept)} as "{name}"')
        finer = [axes[other] for other in axes if name.startswith(f"{other}.")]
        if any(not set(kept) <= set(other) for other in finer):
            raise VerifyException(f'C3: leaf "{leaf.path}": "{name}" keeps an axis that is folded before')
        if not re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", name, re.ASCII) or name.split(".")[0] in set(Extent):
            raise VerifyException(f'C4: leaf "{leaf.path}": an axis extent cannot be called "{name}"')
    mesh_axes = [split.mesh_axis for split in leaf.splits]
    for split in leaf.splits:
        if split.axis >= len(leaf.shape) or mesh_axes.count(split.mesh_axis) > 1:
            raise VerifyException(
                f'C5: leaf "{leaf.path}" cannot be split along axis {split.axis} by {split.mesh_axis}'
            )
    if len(axes) != len(leaf.axes):
        raise VerifyException(f'C4: leaf "{leaf.path}" has two axis extents of one name')


def leaf_tables(module: Operation) -> list[LeavesOp]:
    """The definitions of the leaf sets of a module."""
    return [op for region in module.regions for op in region.ops if isinstance(op, LeavesOp)]


def leaf_set(user: Operation, symbol: SymbolRefAttr) -> tuple[Leaf, ...]:
    """The leaves that `symbol` names, seen from `user`.

    Raises VerifyException when the module has no such leaf set.
    """
    found = SymbolTable.lookup_symbol(user, symbol)
    if not isinstance(found, LeavesOp):
        raise VerifyException(f"leaf set {symbol} is not defined; add `optim.leaves {symbol} = [...]` to the module")
    return found.leaves


def verify_leaf_sets(op: Operation) -> None:
    """Check that every tree operand and result of `op` is over a leaf set of its module that has its extent."""
    types = {*op.operand_types, *op.result_types}
    for type_ in types:
        if isinstance(type_, TreeType):
            leaves = leaf_set(op, type_.leaves)
            if not type_.has_axes:
                continue
            missing = [leaf for leaf in leaves if type_.extent.data not in dict(leaf.axes)]
            if missing:
                raise VerifyException(f'{type_}: leaf "{missing[0].path}" has no axis extent "{type_.extent.data}"')


def shapes_of(user: Operation, type_: TreeType) -> list[tuple[int, ...]]:
    """The shapes of the values of a tree type, leaf by leaf, seen from `user`."""
    return [leaf.shape_of(type_.extent.data) for leaf in leaf_set(user, type_.leaves)]


def tree_bytes(user: Operation, type_: Attribute) -> int:
    """Bytes of a value with elements or an axis extent, seen from `user`; 0 for a scalar or a per-leaf value."""
    if not isinstance(type_, TreeType) or type_.is_per_leaf:
        return 0
    return element_bytes(type_.element) * sum(map(math.prod, shapes_of(user, type_)))
