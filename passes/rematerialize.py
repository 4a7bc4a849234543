"""rematerialize: compute a value again where it is used, instead of keeping a tree of it in memory."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from optcc.dialect import MapOp, MapResult, TreeType, element_bytes, map_result, maps_in, maps_reading, wholes_made_of
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
            for user in [m for m in maps_in(function.body.block) if m.over_elements]:
                _recompute_operands(user, self.factor)
            for _ in range(len(list(function.body.block.ops)) * len(function.args)):
                if not _delay_overwrites(function):
                    break


def _recompute_operands(user: MapOp, factor: float) -> None:
    for operand in dict.fromkeys(user.inputs):
        made = map_result(operand)
        if made is not None and made.map.over_elements and made.is_stored and not _is_returned(operand):
            user = _inline(user, made, operand, factor)


def _is_returned(value: SSAValue) -> bool:
    returned = any(isinstance(use.operation, ReturnOp) for use in value.uses)
    return returned or any(map(_is_returned, wholes_made_of(value)))


def _inline(user: MapOp, made: MapResult, operand: SSAValue, factor: float) -> MapOp:
    """Compute `operand` in the map that reads it, as its producer did, if that costs little; the map there is then."""
    producer, root = made.map, made.yielded
    sources: dict[SSAValue, SSAValue] = dict(zip(producer.block.args, producer.inputs, strict=True))
    for i, result in enumerate(producer.outputs):
        other = MapResult(producer, i)
        if other.is_stored and result is not operand and _is_returned(result):
            sources.setdefault(other.yielded, result)
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
        old, made = arguments.get((array, new.type)), map_result(new)
        if array is None or old is None or made is None or not made.is_stored or not made.map.over_elements:
            continue
        producer = made.map
        readers = (op for op in maps_reading(old) if op.leaves == producer.leaves)
        later = [op for op in readers if order[op] > order[producer]]
        if later and len(list(new.uses)) == 1:
            last = max(later, key=order.__getitem__)
            new.replace_all_uses_with(_recomputed_in(last, made, new))
            return True
    return False


def _recomputed_in(user: MapOp, made: MapResult, result: SSAValue) -> SSAValue:
    """Make `user` compute `result` from what its producer read; the new result of the rebuilt `user`."""
    draft = MapDraft.with_operands_of(user)
    draft.results_of(user, draft.inline(user))
    root = made.yielded
    draft.result(draft.inline(made.map, roots=[root])[root], result.type, name=result.name_hint)
    return draft.replace(user).outputs[-1]
