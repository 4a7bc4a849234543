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
    """Emits the maps of sweeps as custom calls of `target`; `register` is told of every kernel used.

    `streams` says whether the function that is lowered reads its arguments from memory, not from the cache.
    """

    def __init__(self, target: str, register: Callable[[str, str], None]) -> None:
        self.target = target
        self.register = register
        self.streams = True
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
            for call in calls_of(op, [one], overwritten, self.streams):
                self._call(op, call, [one], whole)
            return [operands[target] for target in overwritten if target is not None]
        near, adjoining = self._operands_near(operands), _all_packed(op, operands)
        calls = calls_of(op, leaves, overwritten, self.streams, near, adjoining)
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
        kernel = call.kernel
        self.register(kernel.name, kernel.source)
        given = _Inputs(call, operands)
        wanted = _Results(op, call, leaves, operands, given.first)
        inputs, attributes = given.tensors, call.attributes | given.attributes
        if self._after is not None:
            inputs.append(self._after)
            attributes["after"] = 1
        results = _custom_call(self.target, wanted.types, inputs, attributes, wanted.aliases)
        self._last = results[0]
        return wanted.values(results)

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


class _Inputs:
    """What a call reads: its tensors, the first tensor of each array, and what the handler is told about them."""

    def __init__(self, call: Call, operands: Sequence[Value]) -> None:
        self.tensors: list[Value] = []
        self.first: list[int] = []
        self._elements: list[int] = []
        self._tables = _Tables()
        for value in call.kernel.spec.values:
            operand = operands[value.operand]
            if isinstance(operand, Element):
                self._elements.append(operand.index)
                self.tensors.append(operand.vector)
            else:
                self._elements.append(-1)
                self.tensors.append(_rows(operand, call.leaves) if value.per_leaf else operand)
        for array in call.kernel.spec.arrays:
            self.first.append(len(self.tensors))
            operand = operands[array.operand]
            if isinstance(operand, PackedView):
                self._tables.add([operand.places[i][0] for i in call.leaves])
                self.tensors.append(operand.buffer.tensor)
            else:
                self._tables.add(None)
                self.tensors += [operand[i] for i in call.leaves]

    @property
    def attributes(self) -> dict[str, Any]:
        return self._tables.attributes | {"value_element": self._elements}


class _Results:
    """What a call gives: the types of its tensors, stored ones first, and the input that each overwrites."""

    def __init__(
        self, op: MapOp, call: Call, leaves: Sequence[Leaf], operands: Sequence[Value], first: Sequence[int]
    ) -> None:
        kernel, chosen = call.kernel, [leaves[i] for i in call.leaves]
        self.types: list[ir.Type] = []
        self.aliases: dict[int, int] = {}
        self._kept = [result.kept for result in kernel.spec.results]
        self._spans: dict[int, slice] = {}
        self._views: dict[int, PackedView] = {}
        for i in sorted(
            range(len(kernel.spec.results)), key=lambda i: kernel.spec.results[i].kind is not Combiner.NONE
        ):
            result, type_, start = kernel.spec.results[i], op.result_types[i], len(self.types)
            element = element_type(type_)
            target = operands[kernel.spec.arrays[result.writes].operand] if result.writes >= 0 else None
            if isinstance(target, PackedView):
                self._views[i] = target
                self.types.append(target.buffer.tensor.type)
            elif result.kept >= 0:
                assert isinstance(type_, TreeType)
                self.types += [tensor(leaf.shape_of(type_.extent.data), element) for leaf in chosen]
            else:
                self.types.append(tensor([len(chosen)] if result.kept == -1 else [], element))
            if result.writes >= 0:
                self.aliases.update({k: first[result.writes] + k - start for k in range(start, len(self.types))})
            self._spans[i] = slice(start, len(self.types))

    def values(self, tensors: Sequence[Value]) -> list[Value]:
        """The results of the map from the tensors of the call; a packed buffer gets its new tensor."""
        out: list[Value] = []
        for i, kept in enumerate(self._kept):
            piece = tensors[self._spans[i]]
            if i in self._views:
                self._views[i].buffer.tensor = piece[0]
                out.append(self._views[i])
            else:
                out.append(piece if kept >= 0 else piece[0])
        return out


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
