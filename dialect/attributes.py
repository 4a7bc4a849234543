"""Attributes of the `optim` dialect: leaf tables, extents and combiners."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ArrayAttr
from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.str_enum import StrEnum


@dataclass(frozen=True, slots=True)
class Split:
    """An axis of an array that is cut into equal parts, one for each place on an axis of a mesh of devices."""

    axis: int
    mesh_axis: str
    parts: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """One array of a pytree: its path, unique in a leaf set, its shape, and its axis extents.

    An axis extent is a name and the axes that a value of that extent keeps: `("rows", (0,))`. Of an array that is split
    over a mesh the shape is that of one device's part.
    """

    path: str
    shape: tuple[int, ...]
    axes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    splits: tuple[Split, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements; 1 for a 0-d leaf."""
        return math.prod(self.shape)

    def kept(self, extent: str) -> tuple[int, ...]:
        """The axes that a value of an extent keeps. Raises KeyError if the leaf has no such axis extent."""
        if extent == Extent.ELEMENTS:
            return tuple(range(len(self.shape)))
        return () if extent == Extent.PER_LEAF else dict(self.axes)[extent]

    def split_folds(self, extent: str, finer: str = "elements") -> tuple[Split, ...]:
        """The splits of the axes that a fold from one extent to a coarser one leaves out: other devices have the rest.

        Raises KeyError if the leaf has no such axis extent.
        """
        gone = set(self.kept(finer)) - set(self.kept(extent))
        return tuple(split for split in self.splits if split.axis in gone)

    def shape_of(self, extent: str) -> tuple[int, ...]:
        """The shape of the leaf's value of an extent: 0-d if per leaf, 1 for an axis that is not kept."""
        if extent == Extent.ELEMENTS:
            return self.shape
        if extent == Extent.PER_LEAF:
            return ()
        kept = self.kept(extent)
        return tuple(n if axis in kept else 1 for axis, n in enumerate(self.shape))


@irdl_attr_definition
class LeafTableAttr(Data[tuple[Leaf, ...]]):
    """The leaves of a set, in pytree order, as `["wte" : [50257, 768] {rows = [0]}, "scale" : []]`.

    A split leaf has `split [0 by "data" = 8]` behind its axis extents.
    """

    name = "optim.leaf_table"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[Leaf, ...]:
        def dimension() -> int:
            return parser.parse_integer(allow_boolean=False, allow_negative=False)

        def leaf() -> Leaf:
            path = parse_text(parser)
            parser.parse_punctuation(":")
            shape = tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, dimension))
            axes = parser.parse_optional_comma_separated_list(parser.Delimiter.BRACES, axis_extent)
            is_split = parser.parse_optional_keyword("split") is not None
            splits = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, split) if is_split else ()
            return Leaf(path, shape, tuple(axes or ()), tuple(splits))

        def split() -> Split:
            axis = dimension()
            parser.parse_keyword("by")
            mesh_axis = parse_text(parser)
            parser.parse_punctuation("=")
            return Split(axis, mesh_axis, dimension())

        def axis_extent() -> tuple[str, tuple[int, ...]]:
            name = parser.parse_identifier()
            parser.parse_punctuation("=")
            return name, tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, dimension))

        return tuple(parser.parse_comma_separated_list(parser.Delimiter.SQUARE, leaf))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_square_brackets():
            for i, leaf in enumerate(self.data):
                printer.print_string(", " if i else "")
                printer.print_string(f"{_quoted(leaf.path)} : {_list(leaf.shape)}")
                if leaf.axes:
                    axes = ", ".join(f"{name} = {_list(kept)}" for name, kept in leaf.axes)
                    printer.print_string(f" {{{axes}}}")
                if leaf.splits:
                    splits = ", ".join(f"{s.axis} by {_quoted(s.mesh_axis)} = {s.parts}" for s in leaf.splits)
                    printer.print_string(f" split [{splits}]")


def _list(numbers: Sequence[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def parse_text(parser: AttrParser) -> str:
    """A string literal. xDSL takes one with an escape beside a letter that is not ASCII for bytes; these are UTF-8."""
    data = parser.parse_optional_bytes_literal()
    if data is None:
        return parser.parse_str_literal()
    try:
        return data.decode()
    except UnicodeDecodeError:
        parser.raise_error("a string that is not UTF-8")


def _quoted(path: str) -> str:
    """A string literal; xDSL would escape what is not ASCII byte by byte, which its parser does not take back."""
    return '"' + "".join(map(_escaped, path)) + '"'


def _escaped(character: str) -> str:
    if character == "\\":
        return "\\\\"
    plain = character.isprintable() and character != '"'
    return character if plain or ord(character) > 127 else f"\\{ord(character):02X}"


class Keyword(StrEnum):
    """An enumeration whose members print as they are written in the assembly."""

    def __str__(self) -> str:
        return self.value


class Extent(Keyword):
    """How much of each leaf a tree value holds, besides the axis extents that leaf sets name."""

    ELEMENTS = "elements"
    """Every element: the value has the shape of the leaf."""
    PER_LEAF = "per_leaf"
    """One scalar for each leaf."""


@irdl_attr_definition
class ExtentAttr(Data[str]):
    """The extent of a tree, as `<rows>`: one of `Extent`, or the name of an axis extent."""

    name = "optim.extent"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> str:
        with parser.in_angle_brackets():
            return parser.parse_identifier()

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self.data)


class Combiner(Keyword):
    """How the values that a body yields are combined into one result."""

    NONE = "none"
    """They are not: each is an element of the result."""
    ADD = "add"
    MAX = "max"
    MIN = "min"


@irdl_attr_definition
class CombinerAttr(Data[Combiner]):
    """A combiner, as `<add>`."""

    name = "optim.combiner"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Combiner:
        with parser.in_angle_brackets():
            return parser.parse_str_enum(Combiner)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self.data)


def combiners(kinds: Sequence[Combiner]) -> ArrayAttr[CombinerAttr]:
    """The attribute that `optim.map` keeps: one combiner for each result."""
    return ArrayAttr([CombinerAttr(kind) for kind in kinds])
