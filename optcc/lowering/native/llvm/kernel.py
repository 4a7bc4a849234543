"""From the body of a map to the text of a kernel, and what a call of it has to know."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from xdsl.dialects.builtin import Float16Type
from xdsl.ir import Attribute, SSAValue

from optcc.dialect import Combiner, MapOp, TreeType, element_type
from optcc.dtypes import dtype_of
from optcc.lowering.native.llvm.loops import Fold, Nest
from optcc.lowering.native.llvm.prefetch import stream
from optcc.lowering.native.llvm.scalar_ops import ScalarEmitter, supported
from optcc.lowering.native.llvm.types import I64, POINTER, Value, carrier, in_memory, load, store

_LANES = 8
"""Lanes of float32 in a vector of 256 bits, those of narrower elements, too, which are computed in float32."""


@dataclass(frozen=True)
class IterationSpace:
    """The iteration space of a map: its dimensions, and which of them each operand and result keeps.

    A mask has bit d set for dimension d. It is None for an operand that is a scalar or per-leaf, and for a result that
    is folded to one.
    """

    rank: int
    operand_kept: tuple[int | None, ...]
    result_kept: tuple[int | None, ...]

    @staticmethod
    def of_elements(op: MapOp) -> IterationSpace:
        """One dimension; every tree of elements keeps it."""

        def kept(type_: Attribute) -> int | None:
            return 1 if isinstance(type_, TreeType) and type_.has_elements else None

        return IterationSpace(1, tuple(map(kept, op.operand_types)), tuple(map(kept, op.result_types)))

    @property
    def all_kept(self) -> int:
        """The mask of an array with every element."""
        return (1 << self.rank) - 1


@dataclass(frozen=True)
class ValueOperand:
    """An operand of the map that is a scalar, or one value a leaf."""

    operand: int
    dtype: np.dtype
    per_leaf: bool


@dataclass(frozen=True)
class ArrayOperand:
    """An operand of the map that is an array, and the dimensions it keeps."""

    operand: int
    dtype: np.dtype
    kept: int


@dataclass(frozen=True)
class Result:
    """A result of the map.

    `kept` is the mask of its dimensions, -1 for a per-leaf fold, -2 for a scalar one; `writes` is the index, among the
    array operands, of the one it overwrites, or -1.
    """

    dtype: np.dtype
    kind: Combiner
    kept: int
    writes: int


@dataclass(frozen=True)
class Kernel:
    """The code of a map on one chunk of a leaf. `source` is LLVM IR for any host, its function is called `kernel`."""

    source: str
    rank: int
    values: tuple[ValueOperand, ...]
    arrays: tuple[ArrayOperand, ...]
    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        """The name, which is made from the source."""
        return name_of(self.source)


def name_of(source: str) -> str:
    """The name of the kernel with this source."""
    return "optcc_" + hashlib.sha256(source.encode()).hexdigest()[:32]


def stream_sizes(
    op: MapOp, overwritten: Sequence[int | None], pattern: IterationSpace, near: Collection[int] = ()
) -> list[int]:
    """Bytes of an element of each array of a map's kernel, 0 for one that needs no prefetch.

    Those of the operands in `near` are in the cache, and those without every element soon are.
    """
    all_kept = pattern.all_kept
    sizes = [
        dtype_of(element_type(t)).itemsize if kept == all_kept and i not in near else 0
        for i, (t, kept) in enumerate(zip(op.operand_types, pattern.operand_kept, strict=True))
        if kept is not None
    ]
    results = zip(op.result_types, op.kinds, overwritten, strict=True)
    fresh = [t for t, kind, target in results if kind is Combiner.NONE and target is None]
    return sizes + [dtype_of(element_type(t)).itemsize for t in fresh]


def generate(
    op: MapOp,
    overwritten: Sequence[int | None],
    pattern: IterationSpace | None = None,
    ahead: int = 0,
    near: Collection[int] = (),
) -> Kernel:
    """The kernel of a map.

    `overwritten[i]` is the operand whose array result i overwrites, None if it has an array of its own. Without a
    pattern, the iteration is over all elements in one dimension. With `ahead`, it prefetches so many bytes ahead, of
    all arrays together but those that `stream_sizes` leaves out. Raises NotImplementedError for a body that is not
    `supported`, and ValueError for a pattern or an overwriting that does not fit the map.
    """
    if reason := supported(op):
        raise NotImplementedError(reason)
    pattern = pattern or IterationSpace.of_elements(op)
    values = tuple(
        ValueOperand(i, dtype_of(element_type(t)), isinstance(t, TreeType))
        for i, (t, kept) in enumerate(zip(op.operand_types, pattern.operand_kept, strict=True))
        if kept is None
    )
    arrays = tuple(
        ArrayOperand(i, dtype_of(element_type(t)), kept)
        for i, (t, kept) in enumerate(zip(op.operand_types, pattern.operand_kept, strict=True))
        if kept is not None
    )
    position = {a.operand: k for k, a in enumerate(arrays)}
    results: list[Result] = []
    for i, (type_, kind) in enumerate(zip(op.result_types, op.kinds, strict=True)):
        target = overwritten[i]
        kept = pattern.result_kept[i]
        _check_result(op, i, pattern, target)
        fold = -1 if isinstance(type_, TreeType) else -2
        writes = -1 if target is None else position[target]
        results.append(Result(dtype_of(element_type(type_)), kind, fold if kept is None else kept, writes))
    sizes = stream_sizes(op, overwritten, pattern, near)
    elements = ahead // max(1, sum(sizes))
    source = str(_Emitter(op, pattern, values, arrays, tuple(results)).module([elements * size for size in sizes]))
    return Kernel(source, pattern.rank, values, arrays, tuple(results))


def _check_result(op: MapOp, i: int, pattern: IterationSpace, target: int | None) -> None:
    if op.kinds[i] is not Combiner.NONE:
        if target is not None:
            raise ValueError(f"result {i} is folded, so it cannot overwrite operand {target}")
        return
    if pattern.result_kept[i] != pattern.all_kept:
        raise ValueError(f"result {i} is stored, so it must keep all {pattern.rank} dimensions")
    if target is None:
        return
    if pattern.operand_kept[target] != pattern.all_kept:
        raise ValueError(f"result {i} overwrites operand {target}, which does not have every element")
    if element_type(op.operand_types[target]) != element_type(op.result_types[i]):
        raise ValueError(f"result {i} overwrites operand {target}, which has another element type")


class _Emitter:
    """Emits the module: `kernel`, which takes the tables of pointers apart, and `chunk`, which has the loops.

    The arguments of `chunk` are `noalias`, which is how LLVM learns that arrays do not overlap; it is not inlined, so
    that it cannot forget.
    """

    def __init__(
        self,
        op: MapOp,
        pattern: IterationSpace,
        values: tuple[ValueOperand, ...],
        arrays: tuple[ArrayOperand, ...],
        results: tuple[Result, ...],
    ) -> None:
        self.op = op
        self.pattern = pattern
        self.values = values
        self.arrays = arrays
        self.results = results
        self.fresh = [i for i, r in enumerate(results) if r.kind is Combiner.NONE and r.writes < 0]
        self.combined = [i for i, r in enumerate(results) if r.kind is not Combiner.NONE]

    def module(self, ahead: Sequence[int]) -> Any:
        """The module; `ahead` are the bytes to prefetch of each array."""
        module = ir.Module("kernel", context=ir.Context())
        value_types = [carrier(self.op.block.arg_types[v.operand]) for v in self.values]
        pointers = len(self.arrays) + len(self.fresh) + len(self.combined)
        types = [I64, I64, *[I64] * self.pattern.rank, *value_types, *[POINTER] * pointers]
        chunk = ir.Function(module, ir.FunctionType(ir.VoidType(), types), "chunk")
        chunk.linkage = "internal"
        for attribute in ("noinline", "nounwind"):
            chunk.attributes.add(attribute)
        for argument in chunk.args:
            if argument.type == POINTER:
                argument.add_attribute("noalias")
        for k, distance in enumerate(ahead):
            if distance:
                chunk.args[len(types) - pointers + k].name = stream(k, distance)
        self._chunk(chunk)
        self._kernel(module, chunk)
        return module

    def _kernel(self, module: Any, chunk: Any) -> None:
        signature = ir.FunctionType(ir.VoidType(), [I64, I64, POINTER, POINTER, POINTER, POINTER])
        kernel = ir.Function(module, signature, "kernel")
        kernel.attributes.add("nounwind")
        begin, end, dims, arrays, values, partials = kernel.args
        builder = ir.IRBuilder(kernel.append_basic_block("entry"))

        def entries(table: Value, type_: Any, count: int) -> list[Value]:
            return [builder.load(builder.gep(table, [I64(k)], source_etype=type_), typ=type_) for k in range(count)]

        scalars = [
            load(builder, pointer, self.op.block.arg_types[v.operand])
            for v, pointer in zip(self.values, entries(values, POINTER, len(self.values)), strict=True)
        ]
        builder.call(
            chunk,
            [
                begin,
                end,
                *entries(dims, I64, self.pattern.rank),
                *scalars,
                *entries(arrays, POINTER, len(self.arrays) + len(self.fresh)),
                *entries(partials, POINTER, len(self.combined)),
            ],
        )
        builder.ret_void()

    def _chunk(self, chunk: Any) -> None:
        op, pattern = self.op, self.pattern
        args = list(chunk.args)

        def take(count: int) -> list[Value]:
            taken = args[:count]
            del args[:count]
            return taken

        begin, end = take(2)
        sizes = take(pattern.rank)
        scalars = take(len(self.values))
        arrays = take(len(self.arrays))
        fresh = dict(zip(self.fresh, take(len(self.fresh)), strict=True))
        partials = take(len(self.combined))

        builder = ir.IRBuilder(chunk.append_basic_block("entry"))
        masks = {a.kept for a in self.arrays} | {r.kept for r in self.results if r.kept >= 0}
        nest = Nest(builder, begin, end, sizes, masks, self._lanes())
        folds = {
            i: Fold(nest, op.kinds[i], op.yields.arguments[i].type, pattern.result_kept[i], partial)
            for i, partial in zip(self.combined, partials, strict=True)
        }

        def element(pointer: Value, type_: Attribute, offset: Value) -> Value:
            return builder.gep(pointer, [offset], inbounds=True, source_etype=in_memory(type_))

        def inner(offsets: dict[int, Value]) -> None:
            env: dict[SSAValue, Value] = {}
            for v, value in zip(self.values, scalars, strict=True):
                env[op.block.args[v.operand]] = value
            for a, pointer in zip(self.arrays, arrays, strict=True):
                argument = op.block.args[a.operand]
                env[argument] = load(builder, element(pointer, argument.type, offsets[a.kept]), argument.type)
            self._body(builder, env)
            for i, (value, result) in enumerate(zip(op.yields.arguments, self.results, strict=True)):
                if i in folds:
                    folds[i].add(env[value], offsets)
                else:
                    pointer = fresh[i] if result.writes < 0 else arrays[result.writes]
                    store(builder, env[value], element(pointer, value.type, offsets[result.kept]), value.type)

        def before_inner() -> None:
            for fold in folds.values():
                fold.before_row()

        def after_inner(offsets: dict[int, Value]) -> None:
            for fold in folds.values():
                fold.after_row(offsets)

        nest.run(before_inner, inner, after_inner)
        for fold in folds.values():
            fold.finish()
        builder.ret_void()

    def _lanes(self) -> int:
        """The lanes of the innermost loop, 0 to leave them to LLVM.

        It takes the widest type of a loop for all of it, so that the doubles of a fold would halve the width of square
        roots and quotients in f32.
        """
        return _LANES if self.combined and all(a.dtype.itemsize < 8 for a in self.arrays) else 0

    def _body(self, builder: Any, env: dict[SSAValue, Value]) -> None:
        ops = [inner for inner in self.op.block.ops if inner is not self.op.yields]
        # LLVM turns f32 arithmetic between f16 values into f16 arithmetic. There a contraction would drop a rounding.
        contract = not any(isinstance(t, Float16Type) for inner in ops for t in inner.result_types)
        emitter = ScalarEmitter(builder, contract=contract)
        for inner in ops:
            env[inner.results[0]] = emitter.emit(inner, [env[v] for v in inner.operands])
