"""What an op is for the passes: traits that it declares, and that passes ask in place of its class.

An op with a tree among its operands or results declares three of them:

- `Level`: how many passes over memory it takes until its results are there.
- `LeafSplit`: how it becomes ops on parts of its leaf sets.
- `Traffic`: the bytes that it moves.

`Leafwise` is declared by those that work leaf by leaf, `PerDevice` by those that can work on one device's part of
arrays that are split over a mesh. Ops on scalars only, and terminators, declare none. How an op is
evaluated and lowered is not said here, but registered with the interpreter and with the backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from xdsl.dialects.builtin import SymbolRefAttr
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue
from xdsl.traits import IsTerminator, OpTrait
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Combiner, Extent
from optcc.dialect.leaves import tree_bytes
from optcc.dialect.types import TreeType
from optcc.errors import message

T = TypeVar("T", bound=OpTrait)


class Turn(IntEnum):
    """The order of ops within a level.

    Values of coarse extents are broadcast to finer ones within a level, so they are made first. The other way it takes
    a reduction, and what uses that is of a later level.
    """

    STEP = 0
    """Step-level arithmetic."""
    PER_LEAF = 1
    """Once a leaf."""
    AXES = 2
    """On axis extents."""
    FOLDS_OF_AXES = 3
    """Reductions of axis extents."""
    ELEMENTS = 4
    AFTER = 5
    """What uses the elements of this level."""


class Level(OpTrait):
    """When an op can run, counted in passes over memory.

    The trait itself is the answer of an op whose results are there at once: no later pass is needed for them.
    """

    def delay(self, op: Operation, result: SSAValue) -> int:
        """How many levels after its op a result is there."""
        return 0

    def is_movable(self, op: Operation) -> bool:
        """Whether the op may run later than its operands allow."""
        return True

    def touches_elements(self, op: Operation) -> bool:
        """Whether the op reads or writes arrays element by element, which takes a pass over memory."""
        return any(isinstance(t, TreeType) and t.has_elements for t in (*op.operand_types, *op.result_types))

    def turn(self, op: Operation) -> tuple[Turn, int]:
        """The order of the op within its level; the number decides between ops of one turn."""
        return Turn.STEP, 0


class MovesValues(Level):
    """The level of an op that gives values other leaf sets or shapes, and computes nothing.

    What it makes of arguments is there at once. In the middle of a function it stands behind the pass that makes its
    operands, and the next pass reads its results.
    """

    def delay(self, op: Operation, result: SSAValue) -> int:
        return int(_is_in_the_middle(op))

    def touches_elements(self, op: Operation) -> bool:
        return False

    def turn(self, op: Operation) -> tuple[Turn, int]:
        return (Turn.AFTER if _is_in_the_middle(op) else Turn.STEP), 0


def _is_in_the_middle(op: Operation) -> bool:
    return any(not isinstance(v, BlockArgument) for v in op.operands)


class RunsAlone(Level):
    """The level of an op that shares no pass with others: what it takes is in memory before, what it gives after it.

    One that has nothing to do with elements is there at once.
    """

    def delay(self, op: Operation, result: SSAValue) -> int:
        return int(self.touches_elements(op))

    def is_movable(self, op: Operation) -> bool:
        return False

    def turn(self, op: Operation) -> tuple[Turn, int]:
        return (Turn.AFTER if self.touches_elements(op) else Turn.STEP), 0


class LeafSplit(OpTrait):
    """How an op becomes ops on the parts of its leaf sets. One of the classes below is the answer."""


class SplitsByPart(LeafSplit):
    """The op becomes one op for each part, on that part of its operands. All its trees are over one leaf set."""

    def leaves(self, op: Operation) -> str:
        """The leaf set of the op."""
        types = (*op.operand_types, *op.result_types)
        return next(t.leaves.string_value() for t in types if isinstance(t, TreeType))

    def part(self, op: Operation, leaves: str, operands: Sequence[SSAValue]) -> Operation:
        """The op on the part `leaves`, with operands in the place of its own.

        The default renames the leaf set in the types of the results and in properties. An op with properties by leaf
        has to cut them.
        """
        whole = SymbolRefAttr(self.leaves(op))
        types = [t.with_leaves(leaves) if isinstance(t, TreeType) else t for t in op.result_types]
        renamed: dict[str, Attribute] = {k: SymbolRefAttr(leaves) for k, v in op.properties.items() if v == whole}
        return type(op).create(
            operands=operands,
            result_types=types,
            properties=op.properties | renamed,
            attributes=op.attributes,
            location=op.location,
            regions=[region.clone() for region in op.regions],
        )

    def combiners(self, op: Operation) -> Sequence[Combiner]:
        """For each result how the scalars of the parts make that of the whole; `none` for a tree."""
        return [Combiner.NONE] * len(op.results)


class TakesWholeTrees(LeafSplit):
    """The op takes whole trees and gives whole trees: what is split is joined before it."""


class Regroups(LeafSplit):
    """The op gives the leaves of its operands other leaf sets, and changes no value."""


class Leafwise(OpTrait):
    """What the op gives for a leaf depends on this leaf and on step-level scalars only.

    The leaf tables of a module may be cut to fewer leaves, with the op as it is. An op that does not declare it is
    taken to need all leaves at once.
    """

    def holds(self, op: Operation) -> bool:
        """Whether it does in this case; the default is that all results are trees."""
        return all(isinstance(t, TreeType) for t in op.result_types)


@dataclass(frozen=True)
class Fold:
    """A result that folds a value of the extent `finer`, for each leaf of a set or over the whole set."""

    result: SSAValue
    kind: Combiner
    leaves: SymbolRefAttr
    finer: str

    @property
    def extent(self) -> str:
        """What the fold leaves of each leaf."""
        return self.result.type.extent.data if isinstance(self.result.type, TreeType) else Extent.PER_LEAF


class PerDevice(OpTrait):
    """From one device's parts of its operands the op makes that device's part of its results.

    Folds are of that part only; those of all devices are to be combined. An op that does not declare it needs whole
    arrays, as one that depends on where an element is.
    """

    def folds(self, op: Operation) -> Sequence[Fold]:
        """The results that are folds."""
        return ()

    def fold_by_leaf(self, op: Operation, fold: Fold) -> SSAValue:
        """Change the type of a fold over a set, so that it is one of each leaf; the new value."""
        raise NotImplementedError

    def why_not(self, op: Operation) -> str:
        """Why the op cannot do so in this case; empty if it can."""
        return ""


@dataclass(frozen=True)
class Moved:
    """Bytes that a pass over memory reads and writes, and the names of the arrays that it makes anew."""

    read: int
    written: int
    fresh: tuple[str, ...] = ()


class Traffic(OpTrait):
    """What an op moves.

    The trait itself is the answer of an op that is no pass over memory of its own: what it reads and writes is counted
    with a sweep, or is not there any more once sweeps are formed.
    """


class PassOverMemory(Traffic):
    """The op is a pass over memory, which the cost model counts as a sweep.

    The default is that it reads each operand and writes each result once, into an array of its own.
    """

    def moved(self, op: Operation) -> Moved:
        """The bytes that the op moves."""
        read = sum(tree_bytes(op, v.type) for v in dict.fromkeys(op.operands))
        written = sum(tree_bytes(op, t) for t in op.result_types)
        fresh = [result for result in op.results if tree_bytes(op, result.type)]
        return Moved(read, written, tuple(r.name_hint or f"result {r.index}" for r in fresh))


class Product(Traffic):
    """The op works on matrices, and its traffic is counted apart from that of sweeps: what bounds it is arithmetic."""

    def moved(self, op: Operation) -> Moved:
        """The bytes that the op moves."""
        raise NotImplementedError

    def flops(self, op: Operation) -> int:
        """The multiplications and additions of the op; those of `alpha` and `beta` are not counted."""
        return 0


class Barrier(Traffic):
    """The IR does not look into the op: what it moves is not known, and no sweep spans it."""

    def label(self, op: Operation) -> str:
        """What reports call it."""
        return op.name


def is_on_trees(op: Operation) -> bool:
    """Whether an op has a tree among its operands or results, and does not only end a block with it."""
    return not op.has_trait(IsTerminator, value_if_unregistered=False) and any(
        isinstance(t, TreeType) for t in (*op.operand_types, *op.result_types)
    )


def ask(op: Operation, trait: type[T]) -> T | None:
    """What an op declares of itself; None for one that has nothing to do with trees.

    Raises VerifyException for an op on trees that does not declare the trait.
    """
    found = op.get_trait(trait)
    if found is None and is_on_trees(op):
        raise VerifyException(
            message(
                f"'{op.name}' is on trees, but does not declare the trait {trait.__name__}",
                fix=f"add {trait.__name__}, or a class derived from it, to the traits of the op; "
                "optcc.dialect.interfaces says what each one means",
            )
        )
    return found


def level_of(op: Operation) -> Level:
    """The `Level` of an op. Raises VerifyException for one on trees that does not declare it."""
    return ask(op, Level) or Level()


def per_device(op: Operation) -> PerDevice:
    """The `PerDevice` of an op that declares it. Raises VerifyException for another."""
    found = op.get_trait(PerDevice)
    if found is None:
        raise VerifyException(f"'{op.name}' needs whole arrays")
    return found
