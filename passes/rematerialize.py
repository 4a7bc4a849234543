"""rematerialize: compute a value again where it is used, instead of keeping a tree of it in memory."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, OpResult, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Combiner, JoinOp, MapOp, TreeType, element_bytes
from optcc.passes.analysis.functions import (
    argument_parts,
    body_ops,
    clone_ops,
    functions,
    make_map,
    returned_arrays,
    slice_of,
)


@dataclass(frozen=True)
class Rematerialize(ModulePass):
    """Let a map recompute what an earlier map over the same leaves would have to store for it.

    Before:  %mu1, %u, %n = optim.map (%g, %mu) -> (T, T, per_leaf by <add>) { .. }     // %mu1 is returned
             %new = optim.map (%x = %u : T, %p) -> (T) { .. }
    After:   %mu1, %n = optim.map (%g, %mu) -> (T, per_leaf by <add>) { .. }
             %new = optim.map (%m = %mu1 : T, %p) -> (T) { .. the ops that made %u from mu .. }

    It reads what the earlier map stores anyway, if it stores it unrounded, else what that map read. A slot whose old
    value is then read once more is written only there. Recomputing is done as long as it reads at most `factor` times
    the bytes of storing the value and reading it back: the default favours memory over traffic. Rounding: unchanged.
    """

    name = "rematerialize"

    factor: float = 2.0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            for user in [m for m in function.body.block.ops if isinstance(m, MapOp) and m.over_elements]:
                _recompute_operands(user, self.factor)
            for _ in range(len(list(function.body.block.ops)) * len(function.args)):
                if not _delay_overwrites(function):
                    break


def _recompute_operands(user: MapOp, factor: float) -> None:
    for index, operand in enumerate(list(user.inputs)):
        producer = operand.owner
        if not isinstance(operand, OpResult) or not isinstance(producer, MapOp) or not producer.over_elements:
            continue
        if producer.kinds[operand.index] is not Combiner.NONE or _is_returned(operand):
            continue
        _inline(user, index, producer, operand, factor)


def _is_returned(value: SSAValue) -> bool:
    return any(
        isinstance(use.operation, ReturnOp) or (isinstance(use.operation, JoinOp) and _is_returned(use.operation.whole))
        for use in value.uses
    )


def _inline(user: MapOp, index: int, producer: MapOp, operand: OpResult, factor: float) -> None:
    root = producer.yields.arguments[operand.index]
    sources: dict[SSAValue, SSAValue] = dict(zip(producer.block.args, producer.inputs, strict=True))
    for value, result, kind in zip(producer.yields.arguments, producer.outputs, producer.kinds, strict=True):
        if kind is Combiner.NONE and result is not operand and _is_returned(result):
            sources.setdefault(value, result)
    needed = slice_of([root], sources, producer.block)
    read = {v for inner in needed for v in inner.operands if v in sources} | ({root} & set(sources))
    have = set(user.inputs)
    extra = sum(_bytes(sources[v]) for v in read if sources[v] not in have)
    if extra > factor * 2 * _bytes(operand):
        return
    values: dict[SSAValue, SSAValue] = {}
    arguments = dict(zip(user.inputs, user.block.args, strict=True))
    for inside in sources:
        if inside not in read:
            continue
        source = sources[inside]
        if source not in arguments:
            arguments[source] = user.block.insert_arg(inside.type, len(user.block.args))
            arguments[source].name_hint = inside.name_hint or source.name_hint
            user.operands = [*user.operands, source]
        values[inside] = arguments[source]
    first = user.block.first_op
    assert first is not None
    _clone_before(needed, first, values)
    user.block.args[index].replace_all_uses_with(values[root])


def _clone_before(ops: list[Operation], before: Operation, values: dict[SSAValue, SSAValue]) -> None:
    scratch = Block()
    clone_ops(ops, scratch, values)
    parent = before.parent
    assert parent is not None
    for op in list(scratch.ops):
        op.detach()
        parent.insert_op_before(op, before)


def _bytes(value: SSAValue) -> int:
    """Bytes an element of a tree takes; 0 for what is not read element by element."""
    type_ = value.type
    return element_bytes(type_.element) if isinstance(type_, TreeType) and type_.has_elements else 0


def _delay_overwrites(function: FuncOp) -> bool:
    """Move one store of a slot behind the last map that reads the slot's old value; whether there was one to move."""
    arguments = argument_parts(function)
    order = {op: i for i, op in enumerate(function.body.block.ops)}
    for new, array in returned_arrays(function).items():
        old, producer = arguments.get((array, new.type)), new.owner
        if array is None or old is None or not isinstance(producer, MapOp) or not isinstance(new, OpResult):
            continue
        if producer.kinds[new.index] is not Combiner.NONE or not producer.over_elements:
            continue
        readers = [u.operation for u in old.uses if isinstance(u.operation, MapOp) and u.operation is not producer]
        later = [op for op in readers if order[op] > order[producer] and op.leaves == producer.leaves]
        if later and len(list(new.uses)) == 1:
            last = max(later, key=order.__getitem__)
            moved = _recomputed_in(last, producer, new)
            if moved is not None:
                new.replace_all_uses_with(moved)
                return True
    return False


def _recomputed_in(user: MapOp, producer: MapOp, result: OpResult) -> SSAValue | None:
    """Make `user` compute `result` of `producer` from what `producer` read; the new result of the rebuilt `user`."""
    block = Block(arg_types=user.block.arg_types)
    values: dict[SSAValue, SSAValue] = dict(zip(user.block.args, block.args, strict=True))
    inputs = dict(zip(user.inputs, block.args, strict=True))
    for a, b in zip(user.block.args, block.args, strict=True):
        b.name_hint = a.name_hint
    clone_ops(body_ops(user), block, values)
    local: dict[SSAValue, SSAValue] = {}
    root = producer.yields.arguments[result.index]
    needed = slice_of([root], dict.fromkeys(producer.block.args), producer.block)
    for argument, operand in zip(producer.block.args, producer.inputs, strict=True):
        if argument is root or any(argument in inner.operands for inner in needed):
            if operand not in inputs:
                inputs[operand] = block.insert_arg(argument.type, len(block.args))
                inputs[operand].name_hint = argument.name_hint
            local[argument] = inputs[operand]
    clone_ops(needed, block, local)
    yielded = [*(values[v] for v in user.yields.arguments), local[root]]
    extra = list(inputs)[len(user.inputs) :]
    new = make_map(
        user,
        [*user.inputs, *extra],
        block,
        yielded,
        [*user.result_types, result.type],
        [*user.kinds, Combiner.NONE],
    )
    parent = user.parent
    assert parent is not None
    parent.insert_op_before(new, user)
    for a, b in zip(user.outputs, new.outputs, strict=False):
        b.name_hint = a.name_hint
        a.replace_all_uses_with(b)
    new.outputs[-1].name_hint = result.name_hint
    user.detach()
    user.erase()
    return new.outputs[-1]
