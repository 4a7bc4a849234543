"""What the arguments and results of a function are for its caller: the attribute `optim.slot`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, FunctionType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from optcc.dialect.attributes import Keyword, parse_text
from optcc.dialect.leaves import leaf_set
from optcc.dialect.types import TreeType, is_scalar_type

SLOT = "optim.slot"
"""The name of the attribute of an argument or result that says which slot it is."""


class Role(Keyword):
    """Which of the caller's pytrees an argument or result belongs to."""

    UPDATES = "updates"
    """The gradients on the way in; on the way out what is added to the parameters."""
    STATE = "state"
    PARAMS = "params"
    EXTRA = "extra"
    """An extra argument of the update, such as the value of the loss."""
    HYPER = "hyper"
    """A number that the hyperparameters' function computes."""


class Storage(Keyword):
    """How the leaves of a tree lie in memory."""

    TREE = "tree"
    """Each in an array of its own."""
    PACKED = "packed"
    """One behind the other in one array."""
    TILED = "tiled"
    """As packed, but each from the start of a tile, so that every tile belongs to one leaf."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One array of the caller, or one for each leaf of a tree.

    `path` leads to it in the pytree of its role; `places` are the positions of its leaves, in the order of the leaf
    set, among all leaves of that pytree, and None where a module was written without a caller.
    """

    role: Role
    path: tuple[str, ...] = ()
    places: tuple[int, ...] | None = None
    storage: Storage = Storage.TREE

    @property
    def name(self) -> str:
        """The name in reports and errors: `params`, `params.fast`, `0.mu` for a field of the state."""
        role = () if self.role is Role.STATE else (str(self.role),)
        return ".".join((*role, *self.path))


class Array(NamedTuple):
    """What an argument and a result have in common that are the old and the new value of one thing."""

    role: Role
    path: tuple[str, ...]
    leaves: str
    """The leaf set; empty for what is no tree."""

    def __str__(self) -> str:
        return Slot(self.role, self.path).name


@irdl_attr_definition
class SlotAttr(Data[Slot]):
    """A slot, as `<params>`, `<state ["0", "mu"] at [1 to 148]>` or `<updates at [0, 2] packed>`."""

    name = "optim.slot"

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Slot:
        with parser.in_angle_brackets():
            role = parser.parse_str_enum(Role)
            path = parser.parse_optional_comma_separated_list(parser.Delimiter.SQUARE, lambda: parse_text(parser))
            places: tuple[int, ...] | None = None
            if parser.parse_optional_keyword("at") is not None:
                runs = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, lambda: _parse_run(parser))
                places = tuple(place for run in runs for place in run)
            one_array = (s for s in Storage if s is not Storage.TREE)
            storage = next((s for s in one_array if parser.parse_optional_keyword(s) is not None), Storage.TREE)
        return Slot(role, tuple(path or ()), places, storage)

    def print_parameter(self, printer: Printer) -> None:
        slot = self.data
        with printer.in_angle_brackets():
            printer.print_string(slot.role)
            if slot.path:
                printer.print_string(" ")
                with printer.in_square_brackets():
                    printer.print_list(slot.path, printer.print_string_literal)
            if slot.places is not None:
                runs = (f"{run[0]} to {run[-1]}" if len(run) > 1 else str(run[0]) for run in _runs(slot.places))
                printer.print_string(f" at [{', '.join(runs)}]")
            if slot.storage is not Storage.TREE:
                printer.print_string(f" {slot.storage}")


def _parse_run(parser: AttrParser) -> range:
    first = parser.parse_integer(allow_boolean=False, allow_negative=False)
    last = first
    if parser.parse_optional_keyword("to") is not None:
        last = parser.parse_integer(allow_boolean=False, allow_negative=False)
    return range(first, last + 1)


def _runs(places: Sequence[int]) -> Iterator[range]:
    """The places as runs of neighbours: a tree of a thousand leaves is mostly one."""
    start = 0
    for end in range(1, len(places) + 1):
        if end == len(places) or places[end] != places[end - 1] + 1:
            yield range(places[start], places[end - 1] + 1)
            start = end


def argument_slots(function: FuncOp) -> list[Slot | None]:
    """The slot of each argument, None where it has none."""
    return _slots(function.arg_attrs, len(function.function_type.inputs))


def result_slots(function: FuncOp) -> list[Slot | None]:
    """The slot of each result, None where it has none."""
    return _slots(function.res_attrs, len(function.function_type.outputs))


def _slots(attributes: ArrayAttr[DictionaryAttr] | None, count: int) -> list[Slot | None]:
    found = [entry.data.get(SLOT) for entry in attributes] if attributes is not None else []
    slots = [attribute.data if isinstance(attribute, SlotAttr) else None for attribute in found]
    return slots or [None] * count


def argument_arrays(function: FuncOp) -> list[Array | None]:
    """What each argument is the old value of, None where nothing replaces it."""
    return [_array(slot, a.type) for slot, a in zip(argument_slots(function), function.args, strict=True)]


def result_arrays(function: FuncOp) -> list[Array | None]:
    """What each result is the new value of, None where it replaces nothing."""
    types = function.function_type.outputs
    return [_array(slot, type_) for slot, type_ in zip(result_slots(function), types, strict=True)]


def _array(slot: Slot | None, type_: Attribute) -> Array | None:
    if slot is None:
        return None
    return Array(slot.role, slot.path, type_.leaves.string_value() if isinstance(type_, TreeType) else "")


def set_signature(function: FuncOp, arguments: Sequence[Slot | None], results: Sequence[Slot | None]) -> None:
    """Give a function the types of its block's arguments and of what it returns, and these slots."""
    terminator = function.body.block.last_op
    assert isinstance(terminator, ReturnOp)
    inputs, outputs = [a.type for a in function.args], [v.type for v in terminator.arguments]
    function.function_type = FunctionType.from_lists(inputs, outputs)
    function.arg_attrs, function.res_attrs = _attributes(arguments), _attributes(results)


def _attributes(slots: Sequence[Slot | None]) -> ArrayAttr[DictionaryAttr] | None:
    if all(slot is None for slot in slots):
        return None
    return ArrayAttr([DictionaryAttr({SLOT: SlotAttr(slot)} if slot is not None else {}) for slot in slots])


def verify_signature(function: FuncOp) -> None:
    """Check the slots of a function.

    C1  a slot with places has one for each leaf of the tree, and one for what is no tree
    C2  two arguments, or two results, of one role have no place in common
    C3  a slot of the role `hyper` is a scalar
    C4  only a tree is packed or tiled

    Raises VerifyException.
    """
    sides = (
        ("argument", argument_slots(function), function.function_type.inputs),
        ("result", result_slots(function), function.function_type.outputs),
    )
    for what, slots, types in sides:
        taken: dict[tuple[Role, int], str] = {}
        for i, (slot, type_) in enumerate(zip(slots, types, strict=True)):
            if slot is not None:
                where = f"{what} {i} of @{function.sym_name.data}"
                _verify_slot(function, slot, type_, where)
                for place in slot.places or ():
                    other = taken.setdefault((slot.role, place), where)
                    if other != where:
                        raise VerifyException(f"'{SLOT}' (C2): {other} and {where} both have place {place}")


def _verify_slot(function: FuncOp, slot: Slot, type_: Attribute, where: str) -> None:
    count = len(leaf_set(function, type_.leaves)) if isinstance(type_, TreeType) else 1
    if slot.places is not None and len(slot.places) != count:
        raise VerifyException(f"'{SLOT}' (C1): {where} has {count} leaves, but {len(slot.places)} places")
    if slot.role is Role.HYPER and not is_scalar_type(type_):
        raise VerifyException(f"'{SLOT}' (C3): {where} is a hyperparameter, which is a scalar, got {type_}")
    if slot.storage is not Storage.TREE and not isinstance(type_, TreeType):
        raise VerifyException(f"'{SLOT}' (C4): {where} is {slot.storage}, but no tree: {type_}")
