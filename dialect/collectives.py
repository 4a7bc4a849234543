"""`optim.all_reduce`, which combines the folds that each device has made of its parts of the arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ArrayAttr, SymbolRefAttr
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import IRDLOperation, irdl_op_definition, prop_def, traits_def, var_operand_def, var_result_def
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Combiner, CombinerAttr, Extent, ExtentAttr, combiners
from optcc.dialect.interfaces import Fold, Level, TakesWholeTrees, Traffic
from optcc.dialect.leaves import leaf_set, verify_leaf_sets
from optcc.dialect.types import TreeType, element_type


@dataclass(frozen=True)
class Member:
    """A value that a collective takes: an operand, or the leaf of one. On `once` it is taken from one place only."""

    operand: int
    leaf: int | None
    once: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collective:
    """Values of one element type that are combined by one collective, over some axes of the mesh."""

    kind: Combiner
    element: Attribute
    axes: tuple[str, ...]
    members: tuple[Member, ...]


@irdl_op_definition
class AllReduceOp(IRDLOperation):
    """Combine folds of the parts of split arrays over all devices: each gets the folds of the whole arrays.

    A fold is said with what was folded: the extent before, and for a scalar the leaf set. It is combined over the mesh
    axes that split an axis that is gone. Values that differ along no other axis of the mesh share one collective for
    each combiner and element type; along the axes that do not split its leaf a value counts once.

    C1  results have the types of the operands, and there is a fold for each
    C2  the combiner is not `none`
    C3  a tree is over the leaf set of its fold
    C4  the leaves of a scalar are split over the same axes of the mesh

    Example: `%n = optim.all_reduce %s : f32 by <add> of @all elements`
    """

    name = "optim.all_reduce"

    inputs = var_operand_def()
    outputs = var_result_def()
    combiners = prop_def(ArrayAttr[CombinerAttr])
    leaves = prop_def(ArrayAttr[SymbolRefAttr])
    finer = prop_def(ArrayAttr[ExtentAttr])

    traits = traits_def(Pure(), Level(), TakesWholeTrees(), Traffic())

    def __init__(self, inputs: Sequence[SSAValue], folds: Sequence[Fold]) -> None:
        super().__init__(
            operands=[inputs],
            result_types=[[v.type for v in inputs]],
            properties={
                "combiners": combiners([fold.kind for fold in folds]),
                "leaves": ArrayAttr([fold.leaves for fold in folds]),
                "finer": ArrayAttr([ExtentAttr(str(fold.finer)) for fold in folds]),
            },
        )

    @property
    def folds(self) -> list[Fold]:
        """What each operand is."""
        rows = zip(self.inputs, self.combiners, self.leaves, self.finer, strict=True)
        return [Fold(value, kind.data, leaves, finer.data) for value, kind, leaves, finer in rows]

    @property
    def collectives(self) -> list[Collective]:
        """The collectives, and the values of each in order."""
        found: dict[tuple[Combiner, Attribute, tuple[str, ...] | None], list[tuple[Member, tuple[str, ...]]]] = {}
        for i, fold in enumerate(self.folds):
            leaves = leaf_set(self, fold.leaves)
            is_tree = isinstance(fold.result.type, TreeType)
            for k, leaf in enumerate(leaves if is_tree else leaves[:1]):
                axes = tuple(split.mesh_axis for split in leaf.split_folds(fold.extent, fold.finer))
                # What still differs from device to device cannot be combined over more axes than its own.
                parts = fold.extent != Extent.PER_LEAF and any(s.axis in leaf.kept(fold.extent) for s in leaf.splits)
                key = fold.kind, element_type(fold.result.type), tuple(sorted(axes)) if parts else None
                if axes:
                    found.setdefault(key, []).append((Member(i, k if is_tree else None), axes))
        return [_collective(kind, element, rows) for (kind, element, _), rows in found.items()]

    def verify_(self) -> None:
        verify_leaf_sets(self)
        lengths = {len(self.inputs), len(self.combiners), len(self.leaves), len(self.finer)}
        if self.operand_types != self.result_types or len(lengths) > 1:
            raise VerifyException(
                "C1: the results do not have the types of the operands, or there is not a fold of each"
            )
        for fold in self.folds:
            type_ = fold.result.type
            if fold.kind is Combiner.NONE:
                raise VerifyException("C2: a value needs a combiner: <add>, <max> or <min>")
            if isinstance(type_, TreeType) and type_.leaves != fold.leaves:
                raise VerifyException(f"C3: {type_} is no fold over {fold.leaves}")
            axes = {frozenset(s.mesh_axis for s in x.split_folds(fold.extent, fold.finer)) for x in self._leaves(fold)}
            if not isinstance(type_, TreeType) and len(axes) > 1:
                raise VerifyException(f"C4: the leaves of {fold.leaves} are split over different axes of the mesh")

    def _leaves(self, fold: Fold):
        return leaf_set(self, fold.leaves)

    @classmethod
    def parse(cls, parser: Parser) -> AllReduceOp:
        def fold() -> tuple[SSAValue, Fold]:
            operand = parser.parse_unresolved_operand()
            parser.parse_punctuation(":")
            value = parser.resolve_operand(operand, parser.parse_type())
            parser.parse_keyword("by")
            kind = CombinerAttr.parse_parameter(parser)
            parser.parse_keyword("of")
            leaves = SymbolRefAttr(parser.parse_symbol_name())
            return value, Fold(value, kind, leaves, parser.parse_identifier())

        folds = parser.parse_comma_separated_list(parser.Delimiter.NONE, fold)
        return cls([value for value, _ in folds], [fold for _, fold in folds])

    def print(self, printer: Printer) -> None:
        def fold(one: Fold) -> None:
            printer.print_ssa_value(one.result)
            printer.print_string(" : ")
            printer.print_attribute(one.result.type)
            printer.print_string(" by ")
            CombinerAttr(one.kind).print_parameter(printer)
            printer.print_string(" of ")
            printer.print_attribute(one.leaves)
            printer.print_string(f" {one.finer}")

        printer.print_string(" ")
        printer.print_list(self.folds, fold)


def _collective(kind: Combiner, element: Attribute, rows: Sequence[tuple[Member, tuple[str, ...]]]) -> Collective:
    """One collective over the axes of all its values."""
    axes = tuple(dict.fromkeys(axis for _, own in rows for axis in own))
    # The greatest of equal values is that value, so only a sum has to take them from one place.
    others = [tuple(a for a in axes if a not in own) if kind is Combiner.ADD else () for _, own in rows]
    members = [Member(m.operand, m.leaf, once) for (m, _), once in zip(rows, others, strict=True)]
    return Collective(kind, element, axes, tuple(members))
