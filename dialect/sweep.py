"""`optim.sweep`, one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, Region
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, region_def, traits_def, var_result_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import RecursiveMemoryEffect, SingleBlockImplicitTerminator
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Leaf
from optcc.dialect.interfaces import Leafwise, Moved, PassOverMemory, RunsAlone, Turn
from optcc.dialect.leaves import leaf_set, tree_bytes
from optcc.dialect.map import MapOp, YieldOp
from optcc.dialect.signature import argument_arrays
from optcc.dialect.types import TreeType


def slot_types(func: FuncOp) -> list[tuple[str, Attribute]]:
    """The name and the type of every argument of `func` that has a slot."""
    arrays = zip(argument_arrays(func), func.function_type.inputs, strict=True)
    return [(str(array), type_) for array, type_ in arrays if array is not None]


class _SweepLevel(RunsAlone):
    def touches_elements(self, op: Operation) -> bool:
        return True

    def turn(self, op: Operation) -> tuple[Turn, int]:
        return Turn.ELEMENTS, 0


class _SweepTraffic(PassOverMemory):
    """A map reads each of its operands once; only what is stored is written."""

    def moved(self, op: Operation) -> Moved:
        assert isinstance(op, SweepOp)
        read = sum(tree_bytes(op, v.type) for m in op.maps for v in dict.fromkeys(m.inputs))
        written = sum(tree_bytes(op, type_) for type_ in op.result_types)
        named = zip(op.outputs, op.writes, strict=True)
        fresh = [
            result.name_hint or f"result {result.index}"
            for result, name in named
            if not name.data and isinstance(result.type, TreeType) and result.type.has_elements
        ]
        return Moved(read, written, tuple(fresh))


@irdl_op_definition
class SweepOp(IRDLOperation):
    """One pass over memory: every leaf is visited at most once, by one `map`.

    `writes` says, for each result, which argument of the function it overwrites in place, by the argument's slot; ""
    is for a scalar, a per-leaf value or an array of its own. Values are captured from above.

    C1  the body holds only maps over elements, and its terminator
    C2  no leaf is visited by two maps
    C3  no map uses the result of another map of the sweep
    C4  the body yields one value of each result's type
    C5  `writes` has one entry for each result; one that is not empty is a slot of the function that has the type of the
        result, and its leaves or more

    Example::

        %s = optim.sweep writes [""] {
          %0 = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (f32 by <add>) { ... }
          optim.yield %0 : f32
        } -> f32
    """

    name = "optim.sweep"

    writes = prop_def(ArrayAttr[StringAttr])
    outputs = var_result_def()
    body = region_def("single_block")

    traits = traits_def(
        RecursiveMemoryEffect(),
        SingleBlockImplicitTerminator(YieldOp),
        _SweepLevel(),
        Leafwise(),
        _SweepTraffic(),
    )

    def __init__(self, result_types: Sequence[Attribute], writes: Sequence[str], body: Region) -> None:
        super().__init__(
            result_types=[result_types],
            properties={"writes": ArrayAttr([StringAttr(name) for name in writes])},
            regions=[body],
        )

    @property
    def maps(self) -> tuple[MapOp, ...]:
        """The maps of the sweep, in order."""
        return tuple(op for op in self.body.block.ops if isinstance(op, MapOp))

    @property
    def yields(self) -> YieldOp:
        """The terminator of the body."""
        last = self.body.block.last_op
        assert isinstance(last, YieldOp)
        return last

    def verify_(self) -> None:
        seen: set[Leaf] = set()
        for op in self.body.block.ops:
            if isinstance(op, YieldOp):
                continue
            if not isinstance(op, MapOp) or not op.over_elements:
                raise VerifyException(f"C1: '{op.name}' is not a map over elements")
            leaves = set(leaf_set(self, op.leaves))
            if twice := sorted(leaf.path for leaf in leaves & seen):
                raise VerifyException(f'C2: leaf "{twice[0]}" is visited twice')
            seen |= leaves
            if any(value.owner in self.maps for value in op.operands):
                raise VerifyException("C3: a map uses the result of another map of the sweep")
        if tuple(self.yields.operand_types) != tuple(self.result_types):
            raise VerifyException("C4: the values yielded do not have the types of the results")
        self._verify_writes()

    def _verify_writes(self) -> None:
        if len(self.writes) != len(self.outputs):
            raise VerifyException(f"C5: {len(self.outputs)} results, but {len(self.writes)} entries in `writes`")
        func = self.parent_op()
        slots = slot_types(func) if isinstance(func, FuncOp) else []
        for entry, type_ in zip(self.writes, self.result_types, strict=True):
            if entry.data and not any(self._fits(type_, held) for name, held in slots if name == entry.data):
                raise VerifyException(f'C5: "{entry.data}" is no slot of the function that holds {type_}')

    def _fits(self, part: Attribute, slot: Attribute) -> bool:
        if not isinstance(part, TreeType) or not isinstance(slot, TreeType):
            return False
        if part.with_leaves("") != slot.with_leaves(""):
            return False
        return part.leaves == slot.leaves or set(leaf_set(self, part.leaves)) <= set(leaf_set(self, slot.leaves))

    @classmethod
    def parse(cls, parser: Parser) -> SweepOp:
        parser.parse_keyword("writes")
        writes = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_str_literal)
        body = parser.parse_region()
        parser.parse_punctuation("->")
        types = parser.parse_comma_separated_list(parser.Delimiter.NONE, parser.parse_type)
        return cls(types, writes, body)

    def print(self, printer: Printer) -> None:
        printer.print_string(" writes [")
        printer.print_list(self.writes, lambda name: printer.print_string_literal(name.data))
        printer.print_string("] ")
        printer.print_region(self.body)
        printer.print_string(" -> ")
        printer.print_list(self.result_types, printer.print_attribute)
