"""Lowers a function of sweeps to calls of native kernels, with what is between them in XLA:CPU's forms."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import cast

from jaxlib.mlir import ir
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from optcc.dialect import CountOp, Extent, MapOp, SweepOp, TreeType, element_type, leaf_set, sweeps_of
from optcc.lowering.backend import Site, Tensor, Value
from optcc.lowering.cache_tiles import LeafTile, blocks_of, bytes_of, fits, restricted
from optcc.lowering.native.calls import streams_from_memory, why_not_native
from optcc.lowering.native.custom_calls import NativeCalls
from optcc.lowering.packed_values import Element, PackedView, Vector, as_leaves, as_vector
from optcc.lowering.stablehlo import STABLEHLO
from optcc.lowering.stablehlo.ordering import force_async_dispatch
from optcc.lowering.stablehlo.scalar_ops import vector_constant
from optcc.lowering.stablehlo.tree_ops import emit_sweep
from optcc.lowering.stablehlo.vectors import vector_map
from optcc.lowering.xla_cpu.functions import XlaCpu
from optcc.program.storage import Packing
from optcc.rules import Rules

DISPATCH_BYTES = 16 << 20
"""With as many bytes of arguments, a program of native kernels runs beside the thread that dispatched it."""


class Native(XlaCpu):
    """Emits functions whose sweeps are calls of native kernels, where these support them. Per-leaf values are vectors.

    `calls` emits the calls of one map.
    """

    def __init__(self, site: Site, calls: NativeCalls) -> None:
        super().__init__(site)
        self.calls = calls

    def lower(
        self, function: FuncOp, arguments: Sequence[Value], packings: Sequence[Packing | None] = ()
    ) -> list[Value]:
        sizes = bytes_of(function)
        self.calls.streams = streams_from_memory(function)
        if sum(sizes.values()) >= DISPATCH_BYTES and (number := _a_number(arguments)) is not None:
            self.calls.order_after(force_async_dispatch(number))
        is_packed = any(packings) or any(isinstance(v, PackedView) for v in arguments)
        foreign = any(map(why_not_native, sweeps_of(function)))
        if not is_packed and not foreign and (blocks := blocks_of(function, sizes)):
            return self._lower_blocks(function, arguments, blocks, sizes)
        return super().lower(function, arguments, packings)

    def _lower_blocks(
        self, function: FuncOp, arguments: Sequence[Value], blocks: Sequence[LeafTile], sizes: dict[str, int]
    ) -> list[Value]:
        """The results of a function that runs on one block of leaves after the other."""
        scalars: dict[int, Sequence[Value]] = {}
        by_path: list[dict[str, Tensor]] = [{} for _ in function.function_type.outputs]
        results: list[Value] = []
        for block in blocks:
            self.calls.begin_block(fits(block, sizes))
            part = restricted(function, block)
            chosen = [
                [x for x, leaf in zip(v, leaf_set(function, a.type.leaves), strict=True) if leaf.path in block]
                if isinstance(a.type, TreeType)
                else v
                for v, a in zip(arguments, function.args, strict=True)
            ]
            results = [as_leaves(v) for v in self.run(part, chosen, scalars)]
            for found, value, type_ in zip(by_path, results, part.function_type.outputs, strict=True):
                if isinstance(type_, TreeType):
                    found.update((leaf.path, x) for leaf, x in zip(leaf_set(part, type_.leaves), value, strict=True))
            self.calls.order_after_last_call()
        return [
            [found[leaf.path] for leaf in leaf_set(function, type_.leaves)] if isinstance(type_, TreeType) else value
            for found, value, type_ in zip(by_path, results, function.function_type.outputs, strict=True)
        ]

    def operation(self, op: Operation, operands: Sequence[Value]) -> Sequence[Value]:
        return NATIVE.run(self, op, operands)

    def map(self, op: MapOp, operands: Sequence[Value], overwritten: Sequence[int | None]) -> list[Value]:
        if op.domain == Extent.PER_LEAF and leaf_set(op, op.leaves):
            return vector_map(op, operands)
        return super().map(op, operands, overwritten)

    def native_map(self, op: MapOp, operands: Sequence[Value], overwritten: Sequence[int | None]) -> list[Value]:
        """The results of a map that native kernels support; one without leaves has nothing to call."""
        leaves = leaf_set(op, op.leaves)
        if not leaves:
            return self.map(op, operands, overwritten)
        inputs = [as_vector(v) if _is_per_leaf(t) else v for v, t in zip(operands, op.operand_types, strict=True)]
        results = self.calls.emit(op, leaves, inputs, overwritten)
        return [Vector(v) if _is_per_leaf(t) else v for v, t in zip(results, op.result_types, strict=True)]


NATIVE: Rules[Native, Value, Tensor] = Rules(
    "the native backend",
    "optcc.lowering.native.functions.NATIVE",
    as_leaves,
    # What asks less of the lowering serves here: `Native` is one that StableHLO's rules take.
    fallback=cast("Rules[Native, Value, Tensor]", STABLEHLO),
)
"""How ops are emitted that the native backend has a form of its own for; all others by the rules of StableHLO."""


@NATIVE.register(SweepOp)
def _sweep(lowering: Native, op: SweepOp, operands: Sequence[Value]) -> Sequence[Value]:
    return emit_sweep(op, operands, lowering.map if why_not_native(op) else lowering.native_map)


@NATIVE.register(CountOp)
def _count(lowering: Native, op: CountOp, operands: Sequence[Value]) -> Sequence[Value]:
    return [Vector(vector_constant(op.counts, element_type(op.result.type))) if op.counts else []]


def _is_per_leaf(type_: Attribute) -> bool:
    return isinstance(type_, TreeType) and type_.is_per_leaf


def _a_number(arguments: Sequence[Value]) -> Tensor | None:
    """A tensor with a number in it, a hyperparameter's if there is one; None where all are empty or truths."""
    hypers_first = sorted(arguments, key=lambda v: not isinstance(v, Element))
    return next((x for v in hypers_first for x in _tensors(v) if _has_number(x)), None)


def _has_number(tensor_: Tensor) -> bool:
    """Whether a tensor has an element, and that is no truth value."""
    type_ = ir.RankedTensorType(tensor_.type)
    return prod(type_.shape) > 0 and getattr(type_.element_type, "width", 2) > 1


def _tensors(argument: Value) -> Sequence[Tensor]:
    """The tensors that an argument of a function consists of."""
    if isinstance(argument, Element):
        return [argument.vector]
    if isinstance(argument, PackedView):
        return [argument.buffer.tensor]
    return argument if isinstance(argument, list | tuple) else [argument]
