"""lift-hyperparameters: make hyperparameters arguments, so that their values are not compiled in."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import KeyType, Role, Slot, TreeType, argument_slots, hypers_in, result_slots, set_signature
from optcc.passes.analysis.functions import functions
from optcc.passes.rewrite.clone import clone_ops

HOST_SUFFIX = "_hyperparameters"


@dataclass(frozen=True)
class LiftHyperparameters(ModulePass):
    """Move the arithmetic that involves hyperparameters only into a function of its own, run once, not once a step.

    Before:  func.func @update(..) { %b2 = optim.hyper "0.b2" = 0.999 : f64  %0 = arith.subf %one, %b2 : f64
               %1 = arith.truncf %0 : f64 to f32  .. uses %1 .. }
    After:   func.func @update_hyperparameters() -> (f32) { .. return %1 }
             func.func @update(.., %1: f32 {slot = <hyper at [0]>}) { .. }

    The function for the host is evaluated in float64 where the chain's numbers are Python's, so `1 - 0.999` is exact
    to float32. Rounding and traffic: unchanged. The compiled code no longer depends on the values.
    """

    name = "lift-hyperparameters"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            if not function.sym_name.data.endswith(HOST_SUFFIX):
                _lift(op, function)


def _lift(module: ModuleOp, function: FuncOp) -> None:
    block = function.body.block
    hypers = set[Operation](hypers_in(function))
    host: set[SSAValue] = set()
    constants: set[SSAValue] = set()
    moved: list[Operation] = []
    for op in block.ops:
        if isinstance(op, arith.ConstantOp):
            constants.add(op.result)
        elif op in hypers or (not op.regions and op.operands and all(v in host or v in constants for v in op.operands)):
            if isinstance(op, ReturnOp) or (op not in hypers and not any(v in host for v in op.operands)):
                continue
            if any(isinstance(r.type, TreeType | KeyType) for r in op.results):
                continue
            moved.append(op)
            host.update(op.results)
    inside = set(moved)
    lifted = [r for op in moved for r in op.results if any(use.operation not in inside for use in r.uses)]
    if not lifted:
        return
    body = Block()
    values: dict[SSAValue, SSAValue] = {}
    needed = [op for op in block.ops if op in inside or (op.results and op.results[0] in constants)]
    clone_ops(needed, body, values)
    body.add_op(ReturnOp(*(values[v] for v in lifted)))
    name = function.sym_name.data + HOST_SUFFIX
    types = [v.type for v in lifted]
    module.body.block.insert_op_before(FuncOp(name, ([], types), Region(body)), function)
    slots = argument_slots(function)
    for i, value in enumerate(lifted):
        argument = block.insert_arg(value.type, len(block.args))
        argument.name_hint = value.name_hint
        value.replace_all_uses_with(argument)
        slots.append(Slot(Role.HYPER, places=(i,)))
    for op in reversed(moved):
        op.detach()
        op.erase()
    set_signature(function, slots, result_slots(function))
