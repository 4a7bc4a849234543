"""rematerialize: compute a value again where it is used, instead of keeping a tree of it in memory."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import OpResult, SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import Combiner, JoinOp, MapOp, TreeType, element_bytes
from optcc.passes.analysis.functions import argument_parts, functions, returned_arrays, slice_of
from optcc.passes.rewrite.map_draft import MapDraft


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
    for operand in dict.fromkeys(user.inputs):
        producer = operand.owner
        if not isinstance(operand, OpResult) or not isinstance(producer, MapOp) or not producer.over_elements:
            continue
        if producer.kinds[operand.index] is not Combiner.NONE or _is_returned(operand):
            continue
        user = _inline(user, producer, operand, factor)


def _is_returned(value: SSAValue) -> bool:
    return any(
        isinstance(use.operation, ReturnOp) or (isinstance(use.operation, JoinOp) and _is_returned(use.operation.whole))
        for use in value.uses
    )


def _inline(user: MapOp, producer: MapOp, operand: OpResult, factor: float) -> MapOp:
    """Compute `operand` in the map that reads it, as `producer` did, if that costs little; returns the map there is."""
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
        return user
    draft = MapDraft.with_operands_of(user)
    known = {v: draft.operand(source, v.name_hint) for v, source in sources.items() if v in read}
    again = draft.inline(producer, roots=[root], known=known)[root]
    arguments = zip(user.block.args, user.inputs, strict=True)
    draft.results_of(user, draft.inline(user, known={v: again for v, read_ in arguments if read_ is operand}))
    return draft.replace(user)


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
            new.replace_all_uses_with(_recomputed_in(last, producer, new))
            return True
    return False


def _recomputed_in(user: MapOp, producer: MapOp, result: OpResult) -> SSAValue:
    """Make `user` compute `result` of `producer` from what `producer` read; the new result of the rebuilt `user`."""
    draft = MapDraft.with_operands_of(user)
    draft.results_of(user, draft.inline(user))
    root = producer.yields.arguments[result.index]
    draft.result(draft.inline(producer, roots=[root])[root], result.type, name=result.name_hint)
    return draft.replace(user).outputs[-1]
