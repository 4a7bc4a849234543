"""Emits the calls of native kernels into a StableHLO module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo as hlo

from optcc.dialect import Combiner, Leaf, MapOp, TreeType, element_type
from optcc.lowering.native.calls import Call, calls_of
from optcc.lowering.packed_values import Element, PackedView, as_one_leaf
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.scalar_ops import tensor

Value = Any
TYPED_FFI = 4
"""The version of XLA's custom-call interface that has attributes of many types."""


class NativeCalls:
    """Emits the maps of sweeps as custom calls of `target`; `register` is told of every kernel used."""

    def __init__(self, target: str, register: Callable[[str, str], None]) -> None:
        self.target = target
        self.register = register
        self._last: Value | None = None
        self._after: Value | None = None
        self._near: set[Value] | None = None

    def order_after(self, value: Value) -> None:
        """Let all later calls run after a tensor is there."""
        self._after = value

    def order_after_last_call(self) -> None:
        """Let all later calls run after the last one, if there was one."""
        if self._last is not None:
            self._after = self._last

    def begin_block(self, fits: bool) -> None:
        """From here on calls are of one block of leaves; if it `fits` into the cache, they find what others read."""
        self._near = set() if fits else None

    def emit(
        self, op: MapOp, leaves: Sequence[Leaf], operands: Sequence[Value], overwritten: Sequence[int | None]
    ) -> list[Value]:
        """The results of a map: lists of tensors or packed views, a vector for a per-leaf fold, a 0-d tensor for one
        over the set.

        Operands are lists of tensors or packed views, vectors for per-leaf values, 0-d tensors or elements of vectors
        for scalars.
        """
        if one := as_one_leaf(op, operands, overwritten):
            whole = [replace(v, places=((0, one.shape),)) if isinstance(v, PackedView) else v for v in operands]
            for call in calls_of(op, [one], overwritten):
                self._call(op, call, [one], whole)
            return [operands[target] for target in overwritten if target is not None]
        calls = calls_of(op, leaves, overwritten, self._operands_near(operands), _all_packed(op, operands))
        rows = [self._call(op, call, leaves, operands) for call in calls]
        results = [self._gather(op, i, calls, [row[i] for row in rows]) for i in range(len(op.outputs))]
        if self._near is not None:
            self._near.update(x for v in (*operands, *results) if isinstance(v, list) for x in v)
        return results

    def _operands_near(self, operands: Sequence[Value]) -> list[int]:
        """The operands whose arrays a call of this block has read or written."""
        near = self._near or set()
        return [i for i, v in enumerate(operands) if isinstance(v, list) and v and near.issuperset(v)]

    def _call(self, op: MapOp, call: Call, leaves: Sequence[Leaf], operands: Sequence[Value]) -> list[Value]:
        """One call; its results, of one that is packed the view."""
        kernel, chosen = call.kernel, [leaves[i] for i in call.leaves]
        self.register(kernel.name, kernel.source)
        inputs: list[Value] = []
        elements: list[int] = []
        for value in kernel.values:
            operand = operands[value.operand]
            if isinstance(operand, Element):
                elements.append(operand.index)
                inputs.append(operand.vector)
            else:
                elements.append(-1)
                inputs.append(_rows(operand, call.leaves) if value.per_leaf else operand)
        tables = _Tables()
        first: list[int] = []
        for array in kernel.arrays:
            first.append(len(inputs))
            operand = operands[array.operand]
            if isinstance(operand, PackedView):
                tables.add([operand.places[i][0] for i in call.leaves])
                inputs.append(operand.buffer.tensor)
            else:
                tables.add(None)
                inputs += [operand[i] for i in call.leaves]
        types: list[ir.Type] = []
        spans: dict[int, tuple[int, int]] = {}
        aliases: dict[int, int] = {}
        views: dict[int, PackedView] = {}
        stored = [i for i, r in enumerate(kernel.results) if r.kind is Combiner.NONE]
        folded = [i for i, r in enumerate(kernel.results) if r.kind is not Combiner.NONE]
        for i in (*stored, *folded):
            result, type_ = kernel.results[i], op.result_types[i]
            element = element_type(type_)
            start = len(types)
            target = operands[kernel.arrays[result.writes].operand] if result.writes >= 0 else None
            if isinstance(target, PackedView):
                views[i] = target
                types.append(target.buffer.tensor.type)
            elif result.kept >= 0:
                assert isinstance(type_, TreeType)
                types += [tensor(leaf.shape_of(type_.extent.data), element) for leaf in chosen]
            else:
                types.append(tensor([len(chosen)] if result.kept == -1 else [], element))
            if result.writes >= 0:
                aliases.update({k: first[result.writes] + k - start for k in range(start, len(types))})
            spans[i] = start, len(types)
        attributes = call.attributes | tables.attributes | {"value_element": elements}
        if self._after is not None:
            inputs.append(self._after)
            attributes["after"] = 1
        results = _custom_call(self.target, types, inputs, attributes, aliases)
        self._last = results[0]
        out: list[Value] = []
        for i, result in enumerate(kernel.results):
            piece = results[slice(*spans[i])]
            if i in views:
                views[i].buffer.tensor = piece[0]
                out.append(views[i])
            else:
                out.append(piece if result.kept >= 0 else piece[0])
        return out

    def _gather(self, op: MapOp, i: int, calls: Sequence[Call], pieces: Sequence[Any]) -> Value:
        """One result from those of all calls."""
        type_, kind = op.result_types[i], op.kinds[i]
        if not isinstance(type_, TreeType):
            total = pieces[0]
            for piece in pieces[1:]:
                total = reductions.combine(kind, total, piece)
            return total
        if isinstance(pieces[0], PackedView):
            return pieces[0]
        order = [leaf for call in calls for leaf in call.leaves]
        if type_.is_per_leaf:
            return _in_order(pieces, order)
        found = dict(zip(order, (v for piece in pieces for v in piece), strict=True))
        return [found[leaf] for leaf in range(len(order))]


def _all_packed(op: MapOp, operands: Sequence[Value]) -> bool:
    """Whether all arrays that a map reads are packed."""
    types = zip(operands, op.operand_types, strict=True)
    return all(isinstance(v, PackedView) for v, t in types if isinstance(t, TreeType) and not t.is_per_leaf)


class _Tables:
    """The offsets of packed operands, each table once."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, ...], int] = {}
        self._packed: list[int] = []

    def add(self, offsets: list[int] | None) -> None:
        """The next array operand: the offset of each leaf, or None for one that is not packed."""
        number = -1 if offsets is None else self._numbers.setdefault(tuple(offsets), len(self._numbers))
        self._packed.append(number)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the call, none if nothing is packed."""
        if not self._numbers:
            return {}
        return {"array_packed": self._packed, "offsets": [n for table in self._numbers for n in table]}


def _rows(vector: Value, indices: Sequence[int]) -> Value:
    """Some elements of a vector, as runs of neighbours put together."""
    type_ = ir.RankedTensorType(vector.type)
    if list(indices) == list(range(type_.shape[0])):
        return vector
    one = ir.DenseI64ArrayAttr.get([1])
    pieces: list[Value] = []
    start = 0
    for end in range(1, len(indices) + 1):
        if end == len(indices) or indices[end] != indices[end - 1] + 1:
            first, last = (ir.DenseI64ArrayAttr.get([n]) for n in (indices[start], indices[end - 1] + 1))
            pieces.append(hlo.slice(vector, first, last, one))
            start = end
    return hlo.concatenate(pieces, 0) if len(pieces) > 1 else pieces[0]


def _in_order(pieces: Sequence[Value], order: Sequence[int]) -> Value:
    """The vector whose element `order[i]` is element i of the pieces together."""
    whole = hlo.concatenate(list(pieces), 0) if len(pieces) > 1 else pieces[0]
    inverse = [0] * len(order)
    for position, leaf in enumerate(order):
        inverse[leaf] = position
    return _rows(whole, inverse)


def _custom_call(
    target: str, types: Sequence[ir.Type], inputs: Sequence[Value], attributes: dict[str, Any], aliases: dict[int, int]
) -> Sequence[Value]:
    def attribute(value: Any) -> ir.Attribute:
        if isinstance(value, str):
            return ir.StringAttr.get(value)
        if isinstance(value, int):
            return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)
        return ir.DenseI64ArrayAttr.get(value)

    def layouts(values: Sequence[ir.Type]) -> ir.ArrayAttr:
        index = ir.IndexType.get()
        make: Any = ir.DenseIntElementsAttr.get
        orders = [np.arange(_rank(t) - 1, -1, -1, dtype=np.int64) for t in values]
        return ir.ArrayAttr.get([make(order, type=index) for order in orders])

    alias = [
        hlo.OutputOperandAlias.get(
            output_tuple_indices=[output] if len(types) > 1 else [], operand_index=operand, operand_tuple_indices=[]
        )
        for output, operand in aliases.items()
    ]
    buffers = [v.type for v in inputs]
    # A vector has one layout. XLA takes a tenth longer to compile a call that says so of each.
    constrained = any(_rank(t) > 1 for t in (*buffers, *types))
    op = hlo.CustomCallOp(
        list(types),
        list(inputs),
        target,
        has_side_effect=False,
        backend_config=ir.DictAttr.get({name: attribute(value) for name, value in attributes.items()}),
        api_version=ir.IntegerAttr.get(ir.IntegerType.get_signless(32), TYPED_FFI),
        operand_layouts=layouts(buffers) if constrained else None,
        result_layouts=layouts(types) if constrained else None,
        output_operand_aliases=ir.ArrayAttr.get(alias),
    )
    return list(op.results)


def _rank(type_: ir.Type) -> int:
    return ir.RankedTensorType(type_).rank
