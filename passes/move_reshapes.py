"""move-reshapes: do arithmetic on the small arrays of a state where it can be fused, at their axis extents."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.transforms.dead_code_elimination import is_trivially_dead

from optcc.dialect import Combiner, MapOp, ReshapeOp, TreeType, map_result, maps_in, reshape_of, reshapes_in, shapes_of
from optcc.passes.analysis.functions import functions


@dataclass(frozen=True)
class MoveReshapes(ModulePass):
    """Put maps on the side of a reshape that has an axis extent.

    Before:  %a = optim.map over @v_row (%x = %v_row : bf16 tree @v_row) -> (f32 tree @v_row) { extf }
             %b = optim.reshape %a : f32 tree @v_row -> f32 tree @all, rows
    After:   %a = optim.reshape %v_row : bf16 tree @v_row -> bf16 tree @all, rows
             %b = optim.map over @all (%x = %a : bf16 tree @all, rows) -> (f32 tree @all, rows) { extf }

    Likewise for a map of reshaped values. A map over the elements of @v_row would be a sweep of its own. Rounding and
    traffic: unchanged.
    """

    name = "move-reshapes"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in functions(op):
            block = function.body.block
            while any(map(_move_behind, reshapes_in(block))) or any(map(_move_before, maps_in(block))):
                _drop_unused(function)


def _move_behind(op: ReshapeOp) -> bool:
    """Reshape what a map reads in place of what it makes."""
    made = map_result(op.operand)
    target = op.result.type
    assert isinstance(target, TreeType)
    if made is None or not target.has_axes or not _is_elementwise(made.map) or not _fits(op):
        return False
    source, index = made.map, made.index
    parent = op.parent
    assert parent is not None
    inputs: list[SSAValue] = []
    for value in source.inputs:
        if isinstance(value.type, TreeType):
            moved = ReshapeOp(value, target.with_element(value.type.element))
            parent.insert_op_before(moved, op)
            value = moved.result
        inputs.append(value)
    types = [target.with_element(t.element) for t in source.result_types if isinstance(t, TreeType)]
    new = MapOp(target.leaves, inputs, types, source.body.clone(), source.kinds)
    parent.insert_op_before(new, op)
    new.outputs[index].name_hint = op.result.name_hint
    op.result.replace_all_uses_with(new.outputs[index])
    op.detach()
    op.erase()
    return True


def _move_before(op: MapOp) -> bool:
    """Reshape what a map makes in place of what it reads."""
    if not _is_elementwise(op):
        return False
    reshapes = [reshape_of(v) for v in op.inputs if isinstance(v.type, TreeType)]
    sources = [r.operand for r in reshapes if r is not None and _fits(r)]
    spans = {(t.leaves, t.extent) for s in sources if isinstance(t := s.type, TreeType) and t.has_axes}
    if not reshapes or len(sources) != len(reshapes) or len(spans) != 1:
        return False
    first = sources[0].type
    assert isinstance(first, TreeType)
    rest = iter(sources)
    inputs = [next(rest) if isinstance(v.type, TreeType) else v for v in op.inputs]
    types = [first.with_element(t.element) for t in op.result_types if isinstance(t, TreeType)]
    new = MapOp(first.leaves, inputs, types, op.body.clone(), op.kinds)
    parent = op.parent
    assert parent is not None
    parent.insert_op_before(new, op)
    for old, output in zip(op.outputs, new.outputs, strict=True):
        moved = ReshapeOp(output, old.type)
        parent.insert_op_before(moved, op)
        moved.result.name_hint = output.name_hint = old.name_hint
        old.replace_all_uses_with(moved.result)
    op.detach()
    op.erase()
    return True


def _is_elementwise(op: MapOp) -> bool:
    """Whether a map stores elements only, from elements and scalars."""
    stored = all(kind is Combiner.NONE for kind in op.kinds)
    trees = [t for t in (*op.operand_types, *op.result_types) if isinstance(t, TreeType)]
    return stored and all(t.has_elements for t in trees)


def _fits(op: ReshapeOp) -> bool:
    """Whether a reshape changes shapes only, leaf by leaf."""
    old, new = op.operand.type, op.result.type
    assert isinstance(old, TreeType)
    assert isinstance(new, TreeType)
    return list(map(math.prod, shapes_of(op, old))) == list(map(math.prod, shapes_of(op, new)))


def _drop_unused(function: FuncOp) -> None:
    for op in reversed(list(function.body.block.ops)):
        if is_trivially_dead(op):
            op.detach()
            op.erase()
