"""`optim.sweep`, one pass over memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.rewriter import Rewriter
from xdsl.traits import IsolatedFromAbove, RecursiveMemoryEffect, SingleBlockImplicitTerminator
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Extent, Leaf
from optcc.dialect.interfaces import Fold, Leafwise, Moved, PassOverMemory, PerDevice, RunsAlone, Turn, per_device
from optcc.dialect.leaves import leaf_set, tree_bytes
from optcc.dialect.map import MapOp, YieldOp
from optcc.dialect.sharing import is_argument_or_part, sharers
from optcc.dialect.trees import JoinOp, SplitOp
from optcc.dialect.types import TreeType


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
        fresh = [
            result.name_hint or f"result {result.index}"
            for result in op.outputs[len(op.outs) :]
            if isinstance(result.type, TreeType) and result.type.has_elements
        ]
        return Moved(read, written, tuple(fresh))


class _SweepPerDevice(PerDevice):
    """The folds are those of the maps."""

    def folds(self, op: Operation) -> Sequence[Fold]:
        assert isinstance(op, SweepOp)
        inner = {fold.result: fold for m in op.maps for fold in per_device(m).folds(m)}
        pairs = zip(op.outputs, op.yields.arguments, strict=True)
        return [replace(inner[value], result=result) for result, value in pairs if value in inner]

    def fold_by_leaf(self, op: Operation, fold: Fold) -> SSAValue:
        assert isinstance(op, SweepOp)
        value = op.yields.arguments[op.results.index(fold.result)]
        assert isinstance(value.owner, MapOp)
        per_device(value.owner).fold_by_leaf(value.owner, replace(fold, result=value))
        return Rewriter.replace_value_with_new_type(
            fold.result, TreeType.of(fold.result.type, fold.leaves, Extent.PER_LEAF)
        )


@irdl_op_definition
class SweepOp(IRDLOperation):
    """One pass over memory: every leaf is visited at most once, by one `map`.

    Each of `outs` is overwritten by the result at its place; the body may read it. The results that follow have memory
    of their own: scalars, values of a coarse extent, and trees that replace no argument.

    C1   the body holds only maps over elements, and its terminator
    C2   no leaf is visited by two maps
    C3   no map uses the result of another map of the sweep
    C4   the body yields one value of each result's type
    C5   the body takes one argument of each operand's type
    C6   there is a result for each out, of its type, in order and before all others
    C7   no value is an operand twice
    C8   an out is a tree of elements, and an argument of the function or a part of one
    C9   no two outs share memory, nor an in and an out
    C10  no op after the sweep reads what an out held

    Example::

        %new, %n = optim.sweep ins(%x = %g : T) outs(%y = %p : T) -> (T, f32) {
          %0, %1 = optim.map over @all (%a = %x : T, %b = %y : T) -> (T, f32 by <add>) { ... }
          optim.yield %0, %1 : T, f32
        }
    """

    name = "optim.sweep"

    ins = var_operand_def()
    outs = var_operand_def()
    outputs = var_result_def()
    body = region_def("single_block")

    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(
        IsolatedFromAbove(),
        RecursiveMemoryEffect(),
        SingleBlockImplicitTerminator(YieldOp),
        _SweepLevel(),
        Leafwise(),
        _SweepPerDevice(),
        _SweepTraffic(),
    )

    def __init__(
        self, ins: Sequence[SSAValue], outs: Sequence[SSAValue], result_types: Sequence[Attribute], body: Region
    ) -> None:
        super().__init__(operands=[ins, outs], result_types=[result_types], regions=[body])

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

    @property
    def overwritten(self) -> list[list[int | None]]:
        """For each map and each of its results the operand of the map that it overwrites.

        None stands for a result with memory of its own, and for one whose out the map does not read.
        """
        targets = dict(zip(self.yields.arguments, self.body.block.args[len(self.ins) :], strict=False))
        found: list[list[int | None]] = []
        for op in self.maps:
            places: dict[SSAValue | None, int] = {value: i for i, value in enumerate(op.inputs)}
            found.append([places.get(targets.get(result)) for result in op.outputs])
        return found

    def verify_(self) -> None:
        self._verify_maps()
        if tuple(self.yields.operand_types) != tuple(self.result_types):
            raise VerifyException("C4: the values yielded do not have the types of the results")
        if self.body.block.arg_types != self.operand_types:
            raise VerifyException("C5: the arguments of the body do not have the types of the operands")
        if tuple(self.outs.types) != tuple(self.result_types[: len(self.outs)]):
            raise VerifyException("C6: the first results do not have the types of the outs")
        if len(set(self.operands)) != len(self.operands):
            raise VerifyException("C7: a value is an operand twice")
        for out in self.outs:
            self._verify_out(out)

    def _verify_maps(self) -> None:
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

    def _verify_out(self, out: SSAValue) -> None:
        name = f"%{out.name_hint}" if out.name_hint else f"of type {out.type}"
        if not isinstance(out.type, TreeType) or not out.type.has_elements or not is_argument_or_part(out):
            raise VerifyException(f"C8: out {name} is no tree of elements that is an argument or a part of one")
        shared = sharers(out)
        if any(value in self.operands for value in shared[1:]):
            raise VerifyException(f"C9: out {name} shares memory with another operand")
        for value in shared:
            for use in value.uses:
                if not isinstance(use.operation, SplitOp | JoinOp) and self._is_before(use.operation):
                    raise VerifyException(
                        f"C10: '{use.operation.name}' reads what out {name} held; read it before the sweep, or give "
                        "the result memory of its own"
                    )

    def _is_before(self, op: Operation) -> bool:
        block = self.parent
        assert block is not None
        top = block.find_ancestor_op_in_block(op)
        return top is not None and self.is_before_in_block(top)

    @classmethod
    def parse(cls, parser: Parser) -> SweepOp:
        def assignment():
            argument = parser.parse_argument(expect_type=False)
            parser.parse_punctuation("=")
            operand = parser.parse_unresolved_operand()
            parser.parse_punctuation(":")
            type_ = parser.parse_type()
            return argument.resolve(type_), parser.resolve_operand(operand, type_)

        parser.parse_keyword("ins")
        ins = parser.parse_comma_separated_list(parser.Delimiter.PAREN, assignment)
        parser.parse_keyword("outs")
        outs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, assignment)
        parser.parse_punctuation("->")
        types = parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)
        body = parser.parse_region([argument for argument, _ in (*ins, *outs)])
        return cls([operand for _, operand in ins], [operand for _, operand in outs], types, body)

    def print(self, printer: Printer) -> None:
        def assignment(pair: tuple[SSAValue, SSAValue]) -> None:
            argument, operand = pair
            printer.print_ssa_value(argument)
            printer.print_string(" = ")
            printer.print_ssa_value(operand)
            printer.print_string(" : ")
            printer.print_attribute(operand.type)

        arguments = list(zip(self.body.block.args, self.operands, strict=True))
        printer.print_string(" ins(")
        printer.print_list(arguments[: len(self.ins)], assignment)
        printer.print_string(") outs(")
        printer.print_list(arguments[len(self.ins) :], assignment)
        printer.print_string(") -> (")
        printer.print_list(self.result_types, printer.print_attribute)
        printer.print_string(") ")
        printer.print_region(self.body, print_entry_block_args=False)
