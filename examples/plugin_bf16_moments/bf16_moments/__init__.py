"""A pass for optcc that stores the first moment of any chain in bfloat16: `pipeline="bf16-moments,step"`."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, bf16
from xdsl.passes import ModulePass

from optcc.dialect import Slot
from optcc.passes.rewrite.state_slots import retype_state


@dataclass(frozen=True)
class Bf16Moments(ModulePass):
    """Store every float tree of the state that is called `mu` in bfloat16.

    Before:  func.func @update(.., %mu: tree<f32, @all> {slot = <state ["0", "mu"]>}) -> (.., tree<f32, @all>)
    After:   func.func @update(.., %mu: tree<bf16, @all> {slot = <state ["0", "mu"]>}) -> (.., tree<bf16, @all>)
             with a widening map behind the argument and a rounding one in front of the return

    Rounding: the moment is rounded once a step, when it is stored; the step itself uses it unrounded. Traffic: four
    bytes a parameter less.
    """

    name = "bf16-moments"

    fields: tuple[str, ...] = ("mu",)
    """The names of the fields that are stored in bfloat16."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        del ctx

        def selects(slot: Slot) -> bool:
            return bool(slot.path) and slot.path[-1] in self.fields

        retype_state(op, bf16, selects)
