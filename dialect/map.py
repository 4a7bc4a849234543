"""`optim.map`, the elementwise op with a scalar body, and its terminator `optim.yield`."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import AnyFloat, ArrayAttr, SymbolRefAttr
from xdsl.dialects.utils import AbstractYieldOperation
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    lazy_traits_def,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.rewriter import Rewriter
from xdsl.traits import HasParent, IsolatedFromAbove, IsTerminator, Pure, SingleBlockImplicitTerminator
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Combiner, CombinerAttr, Extent, combiners
from optcc.dialect.interfaces import Fold, Leafwise, Level, PerDevice, SplitsByPart, Traffic, Turn
from optcc.dialect.leaves import leaf_set, verify_leaf_sets
from optcc.dialect.types import TreeType, element_type, is_coarser, is_scalar_type


def _has_body_as_parent() -> HasParent:
    from optcc.dialect.sweep import SweepOp  # which needs this module

    return HasParent(MapOp, SweepOp)


@irdl_op_definition
class YieldOp(AbstractYieldOperation[Attribute]):
    """End the body of a `map` or of a `sweep` with its results."""

    name = "optim.yield"
    traits = lazy_traits_def(lambda: (IsTerminator(), Pure(), _has_body_as_parent()))


class _MapLevel(Level):
    """A fold is there one level later."""

    def delay(self, op: Operation, result: SSAValue) -> int:
        assert isinstance(op, MapOp)
        return int(op.kinds[op.results.index(result)] is not Combiner.NONE)

    def touches_elements(self, op: Operation) -> bool:
        assert isinstance(op, MapOp)
        return op.over_elements

    def turn(self, op: Operation) -> tuple[Turn, int]:
        assert isinstance(op, MapOp)
        turns: dict[str, Turn] = {Extent.ELEMENTS: Turn.ELEMENTS, Extent.PER_LEAF: Turn.PER_LEAF}
        # An extent whose name continues another one's is coarser, so that it comes first.
        depth = op.domain.count(".")
        return (turns[op.domain], 0) if op.domain in turns else (Turn.AXES, -depth)


class _MapSplit(SplitsByPart):
    def leaves(self, op: Operation) -> str:
        assert isinstance(op, MapOp)
        return op.leaves.string_value()

    def combiners(self, op: Operation) -> Sequence[Combiner]:
        assert isinstance(op, MapOp)
        return op.kinds


class _MapPerDevice(PerDevice):
    def folds(self, op: Operation) -> Sequence[Fold]:
        assert isinstance(op, MapOp)
        pairs = zip(op.outputs, op.kinds, strict=True)
        return [Fold(r, kind, op.leaves, op.domain) for r, kind in pairs if kind is not Combiner.NONE]

    def fold_by_leaf(self, op: Operation, fold: Fold) -> SSAValue:
        return Rewriter.replace_value_with_new_type(
            fold.result, TreeType.of(fold.result.type, fold.leaves, Extent.PER_LEAF)
        )


@irdl_op_definition
class MapOp(IRDLOperation):
    """Run a scalar body for every element of every leaf of a set, for every value of an axis extent, or once a leaf.

    The body runs over the finest extent of the operands and the uncombined results; coarser operands are broadcast. A
    result with a combiner folds what the body yields: over the axes that its extent does not keep, over the leaf if its
    type is a per-leaf tree, over the whole set if its type is a scalar; over no element at all it is 0 for `add`, the
    lowest value of its type for `max` and the highest for `min`.

    C1  every tree operand and tree result is over the op's leaf set
    C2  an operand is a tree or a scalar; the body takes one argument for each, of its element type
    C3  the body yields one value for each result, of its element type
    C4  a result without combiner has the extent of the iteration; one with a combiner is smaller than it
    C5  a combined result is a float
    C6  the body holds only pure ops on scalars
    C7  every operand has the extent of the iteration or a coarser one
    """

    name = "optim.map"

    leaves = prop_def(SymbolRefAttr)
    combiners = prop_def(ArrayAttr[CombinerAttr])
    inputs = var_operand_def()
    outputs = var_result_def()
    body = region_def("single_block")

    traits = traits_def(
        Pure(),
        IsolatedFromAbove(),
        SingleBlockImplicitTerminator(YieldOp),
        _MapLevel(),
        _MapSplit(),
        Leafwise(),
        _MapPerDevice(),
        Traffic(),
    )

    def __init__(
        self,
        leaves: SymbolRefAttr,
        inputs: Sequence[SSAValue],
        result_types: Sequence[Attribute],
        body: Region,
        kinds: Sequence[Combiner] | None = None,
    ) -> None:
        kinds = kinds or [Combiner.NONE] * len(result_types)
        super().__init__(
            operands=[inputs],
            result_types=[result_types],
            properties={"leaves": leaves, "combiners": combiners(kinds)},
            regions=[body],
        )

    @property
    def kinds(self) -> tuple[Combiner, ...]:
        """The combiner of each result."""
        return tuple(c.data for c in self.combiners)

    @property
    def block(self) -> Block:
        """The one block of the body."""
        return self.body.block

    @property
    def yields(self) -> YieldOp:
        """The terminator of the body."""
        last = self.block.last_op
        assert isinstance(last, YieldOp)
        return last

    @property
    def domain(self) -> str:
        """The extent that the body runs over: the finest of the operands and the uncombined results."""
        stored = [t for t, kind in zip(self.result_types, self.kinds, strict=True) if kind is Combiner.NONE]
        finest: str = Extent.PER_LEAF
        for type_ in (*self.operand_types, *stored):
            if isinstance(type_, TreeType) and is_coarser(finest, type_.extent.data):
                finest = type_.extent.data
        return finest

    @property
    def over_elements(self) -> bool:
        """True if the body runs for every element."""
        return self.domain == Extent.ELEMENTS

    def verify_(self) -> None:
        verify_leaf_sets(self)
        leaf_set(self, self.leaves)
        for type_ in (*self.operand_types, *self.result_types):
            if isinstance(type_, TreeType) and type_.leaves != self.leaves:
                raise VerifyException(f"C1: {type_} is not over the leaf set {self.leaves} of the op")
        expected = [element_type(t) for t in self.operand_types]
        if other := [t for t in expected if not is_scalar_type(t)]:
            raise VerifyException(f"C2: an operand is a tree or a scalar, got {other[0]}")
        if list(self.block.arg_types) != expected:
            raise VerifyException(
                f"C2: the body takes ({_types(self.block.arg_types)}), but the operands' elements are "
                f"({_types(expected)})"
            )
        expected = [element_type(t) for t in self.result_types]
        if list(self.yields.operand_types) != expected:
            raise VerifyException(
                f"C3: the body yields ({_types(self.yields.operand_types)}), but the results' elements are "
                f"({_types(expected)})"
            )
        if len(self.kinds) != len(self.outputs):
            raise VerifyException(f"C4: {len(self.outputs)} results, but {len(self.kinds)} combiners")
        for type_, kind in zip(self.result_types, self.kinds, strict=True):
            self._verify_result(type_, kind)
        if not self.over_elements:
            self._verify_one_axis_extent()
        for op in self.block.ops:
            scalars = all(is_scalar_type(t) for t in (*op.operand_types, *op.result_types))
            if op.regions or not op.has_trait(Pure) or not scalars:
                raise VerifyException(f"C6: '{op.name}' is not a pure op on scalars")

    def _verify_one_axis_extent(self) -> None:
        types = [t for t in (*self.operand_types, *self.result_types) if isinstance(t, TreeType)]
        extents = {t: t.extent.data for t in types}
        if other := [t for t, e in extents.items() if e != self.domain and not is_coarser(e, self.domain)]:
            raise VerifyException(f"C7: {other[0]} cannot be broadcast to the extent {self.domain}")

    def _verify_result(self, type_: Attribute, kind: Combiner) -> None:
        if not isinstance(type_, TreeType) and not is_scalar_type(type_):
            raise VerifyException(f"C4: a result is a tree or a scalar, got {type_}")
        if kind is Combiner.NONE and (not isinstance(type_, TreeType) or type_.extent.data != self.domain):
            raise VerifyException(f"C4: result {type_} needs a combiner, such as `by <add>`")
        if kind is not Combiner.NONE:
            if isinstance(type_, TreeType) and not is_coarser(type_.extent.data, self.domain):
                raise VerifyException(f"C4: result {type_} has a combiner, but keeps the extent of the operands")
            if not isinstance(element_type(type_), AnyFloat):
                raise VerifyException(f"C5: combiner {kind} needs a float, got {element_type(type_)}")

    @classmethod
    def parse(cls, parser: Parser) -> MapOp:
        parser.parse_keyword("over")
        leaves = SymbolRefAttr(parser.parse_symbol_name())

        def assignment():
            argument = parser.parse_argument(expect_type=False)
            parser.parse_punctuation("=")
            operand = parser.parse_unresolved_operand()
            parser.parse_punctuation(":")
            type_ = parser.parse_type()
            return argument.resolve(element_type(type_)), parser.resolve_operand(operand, type_)

        def result() -> tuple[Attribute, Combiner]:
            type_ = parser.parse_type()
            combined = parser.parse_optional_keyword("by") is not None
            return type_, CombinerAttr.parse_parameter(parser) if combined else Combiner.NONE

        inputs = parser.parse_comma_separated_list(parser.Delimiter.PAREN, assignment)
        parser.parse_punctuation("->")
        results = parser.parse_comma_separated_list(parser.Delimiter.PAREN, result)
        body = parser.parse_region([argument for argument, _ in inputs])
        return cls(
            leaves, [operand for _, operand in inputs], [type_ for type_, _ in results], body, [k for _, k in results]
        )

    def print(self, printer: Printer) -> None:
        printer.print_string(" over ")
        printer.print_attribute(self.leaves)

        def assignment(pair: tuple[SSAValue, SSAValue]) -> None:
            argument, operand = pair
            printer.print_ssa_value(argument)
            printer.print_string(" = ")
            printer.print_ssa_value(operand)
            printer.print_string(" : ")
            printer.print_attribute(operand.type)

        def result(pair: tuple[Attribute, CombinerAttr]) -> None:
            type_, kind = pair
            printer.print_attribute(type_)
            if kind.data is not Combiner.NONE:
                printer.print_string(" by ")
                kind.print_parameter(printer)

        printer.print_string(" (")
        printer.print_list(zip(self.block.args, self.inputs, strict=True), assignment)
        printer.print_string(") -> (")
        printer.print_list(zip(self.result_types, self.combiners, strict=True), result)
        printer.print_string(") ")
        printer.print_region(self.body, print_entry_block_args=False)


def _types(types: Sequence[Attribute]) -> str:
    return ", ".join(map(str, types))
