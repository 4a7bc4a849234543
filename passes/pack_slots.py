"""pack-slots: keep the leaves of a pytree of the caller in a few arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Attribute
from xdsl.passes import ModulePass

from optcc.dialect import Slot, Storage, TreeType, argument_slots, result_slots, set_signature
from optcc.passes.analysis.functions import functions


@dataclass(frozen=True)
class PackSlots(ModulePass):
    """Store every tree of some roles packed: all its leaves in one array, one behind the other, or tile by tile.

    Before:  func.func @step(.., %mu: T {slot = <state ["0", "mu"]>}) -> (.., T {slot = <state ["0", "mu"]>})
    After:   func.func @step(.., %mu: T {slot = <state ["0", "mu"] packed>})
                 -> (.., T {slot = <state ["0", "mu"] packed>})

    The body still sees leaves: where they lie is the backends' concern. Rounding: unchanged. Traffic: the gaps between
    leaves, which start at multiples of a cache line, or of a tile.
    """

    name = "pack-slots"

    roles: tuple[str, ...] = ("state",)
    """Which pytrees of the caller: `updates`, `state`, `params`."""
    storage: Literal["packed", "tiled"] = "packed"
    """One leaf behind the other, or each from the start of a tile."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            types = function.function_type
            arguments = self._packed(argument_slots(function), types.inputs)
            set_signature(function, arguments, self._packed(result_slots(function), types.outputs))

    def _packed(self, slots: Sequence[Slot | None], types: Iterable[Attribute]) -> list[Slot | None]:
        return [self._slot(slot, type_) for slot, type_ in zip(slots, types, strict=True)]

    def _slot(self, slot: Slot | None, type_: Attribute) -> Slot | None:
        if slot is None or slot.role not in self.roles or not isinstance(type_, TreeType):
            return slot
        return replace(slot, storage=Storage(self.storage))
