"""shard: a function works on one device's parts of arrays that are split over a mesh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.traits import IsTerminator
from xdsl.utils.exceptions import PassFailedException

from optcc.dialect import AllReduceOp, Leaf, ReduceOp, Split, TreeType, leaf_set, leaf_tables
from optcc.dialect.interfaces import Fold, PerDevice, is_on_trees
from optcc.errors import message
from optcc.passes.analysis.functions import functions

Spec = tuple[tuple[str, ...], ...]
"""For each axis of an array the axes of the mesh that split it."""


@dataclass(frozen=True)
class Shard(ModulePass):
    """Give every leaf the shape of one device's part, and combine folds over the devices.

    Before:  optim.leaves @all = ["w" : [256, 128]]
             %n = optim.sweep ins(%x = %g) outs() -> (f32) { optim.map over @all (%x) -> (f32 by <add>) .. }
    After:   optim.leaves @all = ["w" : [32, 128] split [0 by "data" = 8]]
             %n = optim.sweep ins(%x = %g) outs() -> (f32) { optim.map over @all (%x) -> (f32 by <add>) .. }
             %m = optim.all_reduce %n : f32 by <add> of @all elements

    The folds of one op, such as a sweep, are combined together. A fold over a set whose leaves are split over different
    axes becomes one of each leaf, which are combined, and then folded: a replicated leaf must not count once a device.
    A mesh and arrays are written as `shard{mesh="data:8" arrays="w:256x128:data,"}`: path, shape, and for each axis the
    axes of the mesh, joined by `+`. Raises PassFailedException for an axis that cannot be cut into equal parts, and for
    an op that needs whole arrays. Rounding: sums are of each device's part first. Traffic: one device's.
    """

    name = "shard"

    mesh: tuple[str, ...] = ()
    """The axes of the mesh, each with its size."""
    arrays: tuple[str, ...] = ()
    """The arrays that are split."""

    @classmethod
    def of(cls, mesh: Mapping[str, int], specs: Mapping[tuple[str, tuple[int, ...]], Spec]) -> Shard:
        """The pass for a mesh, and the specs of arrays by path and shape."""
        arrays = (
            f"{path}:{'x'.join(map(str, shape))}:{','.join('+'.join(axes) for axes in spec)}"
            for (path, shape), spec in specs.items()
        )
        return cls(tuple(f"{axis}:{size}" for axis, size in mesh.items()), tuple(arrays))

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        sizes = {axis: int(size) for axis, size in (text.rsplit(":", 1) for text in self.mesh)}
        specs: dict[tuple[str, str], Spec] = {}
        for text in self.arrays:
            path, shape, axes = text.rsplit(":", 2)
            specs[path, shape] = tuple(tuple(filter(None, one.split("+"))) for one in axes.split(","))
        for table in leaf_tables(op):
            leaves = tuple(
                _part(leaf, specs.get((leaf.path, "x".join(map(str, leaf.shape))), ()), sizes) for leaf in table.leaves
            )
            table.table = type(table.table)(leaves)
        for function in functions(op):
            for one in list(function.body.block.ops):
                if is_on_trees(one) and not one.has_trait(IsTerminator):
                    _combine(one)


def _part(leaf: Leaf, spec: Spec, sizes: Mapping[str, int]) -> Leaf:
    """The leaf as one device has it."""
    splits = tuple(Split(i, axis, sizes[axis]) for i, axes in enumerate(spec) for axis in axes if sizes[axis] > 1)
    parts = [prod(s.parts for s in splits if s.axis == i) for i in range(len(leaf.shape))]
    for axis, (size, count) in enumerate(zip(leaf.shape, parts, strict=True)):
        if size % count:
            what = f"axis {axis} of {list(leaf.shape)} cannot be cut into {count} equal parts"
            raise PassFailedException(message(what, f"leaf {leaf.path!r}"))
    return replace(leaf, shape=tuple(n // k for n, k in zip(leaf.shape, parts, strict=True)), splits=splits)


def _combine(op: Operation) -> None:
    """Let the folds of an op be those of all devices. Raises PassFailedException for one that needs whole arrays."""
    if not _is_split(op):
        return
    trait = op.get_trait(PerDevice)
    why = trait.why_not(op) if trait else "it needs whole arrays"
    if trait is None or why:
        raise PassFailedException(f"'{op.name}' cannot work on one device's parts: {why}")
    folds: list[Fold] = []
    totals: list[SSAValue] = []
    for fold in trait.folds(op):
        axes = {
            frozenset(s.mesh_axis for s in leaf.split_folds(fold.extent, fold.finer))
            for leaf in leaf_set(op, fold.leaves)
        }
        if not any(axes):
            continue
        is_mixed = len(axes) > 1 and not isinstance(fold.result.type, TreeType)
        value = trait.fold_by_leaf(op, fold) if is_mixed else fold.result
        totals += [value] if is_mixed else []
        folds.append(replace(fold, result=value))
    if folds:
        _insert(op, folds, totals)


def _insert(op: Operation, folds: Sequence[Fold], totals: Sequence[SSAValue]) -> None:
    """Combine folds behind an op, and fold those over leaves again that are in `totals`."""
    block = op.parent
    assert block is not None
    reduced = AllReduceOp([fold.result for fold in folds], folds)
    block.insert_op_after(reduced, op)
    for fold, new in zip(folds, reduced.outputs, strict=True):
        new.name_hint, last = fold.result.name_hint, new
        if fold.result in totals:
            assert isinstance(new.type, TreeType)
            total = ReduceOp(fold.kind, new, new.type.element)
            block.insert_op_after(total, reduced)
            last = total.result
        for use in list(fold.result.uses):
            if use.operation is not reduced:
                use.operation.operands[use.index] = last


def _is_split(op: Operation) -> bool:
    """Whether an op has to do with a split array."""
    sets = {t.leaves for t in (*op.operand_types, *op.result_types) if isinstance(t, TreeType)}
    return any(leaf.splits for leaves in sets for leaf in leaf_set(op, leaves))
