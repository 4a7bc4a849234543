"""From the body of a map to the text of a kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from llvmlite import ir
from xdsl.dialects.builtin import Float16Type
from xdsl.ir import Attribute, SSAValue

from optcc.dialect import MapOp
from optcc.dtypes import real_of
from optcc.lowering.native.llvm.loops import Fold, Nest
from optcc.lowering.native.llvm.prefetch import stream
from optcc.lowering.native.llvm.scalar_ops import ScalarEmitter, supported
from optcc.lowering.native.llvm.spec import IterationSpace, KernelSpec, spec_of, stream_sizes
from optcc.lowering.native.llvm.types import I64, POINTER, Value, carrier, in_memory, load, store

_LANES = 8
"""Lanes of float32 in a vector of 256 bits, those of narrower elements, too, which are computed in float32."""


@dataclass(frozen=True)
class Kernel:
    """The code of a map on one chunk of a leaf. `source` is LLVM IR for any host, its function is called `kernel`."""

    source: str
    spec: KernelSpec

    @property
    def name(self) -> str:
        """The name, which is made from the source."""
        return name_of(self.source)


def name_of(source: str) -> str:
    """The name of the kernel with this source."""
    return "optcc_" + hashlib.sha256(source.encode()).hexdigest()[:32]


def generate(
    op: MapOp,
    overwritten: Sequence[int | None],
    space: IterationSpace | None = None,
    ahead: int = 0,
    near: Collection[int] = (),
) -> Kernel:
    """The kernel of a map.

    `overwritten[i]` is the operand whose array result i overwrites, None if it has an array of its own. Without a
    space, the iteration is over all elements in one dimension. With `ahead`, it prefetches so many bytes ahead, of
    all arrays together but those that `stream_sizes` leaves out. Raises NotImplementedError for a body that is not
    `supported`, and ValueError for a space or an overwriting that does not fit the map.
    """
    if reason := supported(op):
        raise NotImplementedError(reason)
    space = space or IterationSpace.of_elements(op)
    spec = spec_of(op, overwritten, space)
    sizes = stream_sizes(op, overwritten, space, near)
    elements = ahead // max(1, sum(sizes))
    return Kernel(str(_Emitter(op, spec).module([elements * size for size in sizes])), spec)


@dataclass(frozen=True)
class _Arguments:
    """The arguments of `chunk`: the first and the last element of a run, the sizes of the dimensions, and pointers."""

    run: tuple[Value, Value]
    sizes: Sequence[Value]
    scalars: Sequence[Value]
    arrays: Sequence[Value]
    fresh: dict[int, Value]
    """By the result that is stored there."""
    partials: dict[int, Value]
    """By the result that is folded there."""


class _Emitter:
    """Emits the module: `kernel`, which takes the tables of pointers apart, and `chunk`, which has the loops.

    The arguments of `chunk` are `noalias`, which is how LLVM learns that arrays do not overlap; it is not inlined, so
    that it cannot forget.
    """

    def __init__(self, op: MapOp, spec: KernelSpec) -> None:
        self.op = op
        self.spec = spec

    def module(self, ahead: Sequence[int]) -> Any:
        """The module; `ahead` are the bytes to prefetch of each array."""
        module = ir.Module("kernel", context=ir.Context())
        value_types = [carrier(self.op.block.arg_types[v.operand]) for v in self.spec.values]
        pointers = len(self.spec.arrays) + len(self.spec.fresh) + len(self.spec.combined)
        types = [I64, I64, *[I64] * self.spec.space.rank, *value_types, *[POINTER] * pointers]
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
            for v, pointer in zip(self.spec.values, entries(values, POINTER, len(self.spec.values)), strict=True)
        ]
        builder.call(
            chunk,
            [
                begin,
                end,
                *entries(dims, I64, self.spec.space.rank),
                *scalars,
                *entries(arrays, POINTER, len(self.spec.arrays) + len(self.spec.fresh)),
                *entries(partials, POINTER, len(self.spec.combined)),
            ],
        )
        builder.ret_void()

    def _chunk(self, chunk: Any) -> None:
        op, arguments = self.op, self._arguments(chunk)
        builder = ir.IRBuilder(chunk.append_basic_block("entry"))
        nest = Nest(builder, arguments.run, arguments.sizes, self.spec.masks, self._lanes())
        folds = {
            i: Fold(nest, op.kinds[i], op.yields.arguments[i].type, self.spec.space.result_kept[i], partial)
            for i, partial in arguments.partials.items()
        }

        def element(pointer: Value, type_: Attribute, offset: Value) -> Value:
            return builder.gep(pointer, [offset], inbounds=True, source_etype=in_memory(type_))

        def inner(offsets: dict[int, Value]) -> None:
            env: dict[SSAValue, Value] = {}
            for v, value in zip(self.spec.values, arguments.scalars, strict=True):
                env[op.block.args[v.operand]] = value
            for a, pointer in zip(self.spec.arrays, arguments.arrays, strict=True):
                argument = op.block.args[a.operand]
                env[argument] = load(builder, element(pointer, argument.type, offsets[a.kept]), argument.type)
            self._body(builder, env)
            for i, (value, result) in enumerate(zip(op.yields.arguments, self.spec.results, strict=True)):
                if i in folds:
                    folds[i].add(env[value], offsets)
                else:
                    pointer = arguments.fresh[i] if result.writes < 0 else arguments.arrays[result.writes]
                    store(builder, env[value], element(pointer, value.type, offsets[result.kept]), value.type)

        nest.run(list(folds.values()), inner)
        builder.ret_void()

    def _arguments(self, chunk: Any) -> _Arguments:
        args = iter(chunk.args)

        def take(count: int) -> list[Value]:
            return list(islice(args, count))

        run, sizes, scalars = (next(args), next(args)), take(self.spec.space.rank), take(len(self.spec.values))
        arrays, fresh = take(len(self.spec.arrays)), dict(zip(self.spec.fresh, take(len(self.spec.fresh)), strict=True))
        return _Arguments(run, sizes, scalars, arrays, fresh, dict(zip(self.spec.combined, args, strict=True)))

    def _lanes(self) -> int:
        """The lanes of the innermost loop, 0 to leave them to LLVM.

        It takes the widest type of a loop for all of it, so that the doubles of a fold would halve the width of square
        roots and quotients in f32.
        """
        return _LANES if self.spec.combined and all(real_of(a.dtype).itemsize < 8 for a in self.spec.arrays) else 0

    def _body(self, builder: Any, env: dict[SSAValue, Value]) -> None:
        ops = [inner for inner in self.op.block.ops if inner is not self.op.yields]
        # LLVM turns f32 arithmetic between f16 values into f16 arithmetic. There a contraction would drop a rounding.
        contract = not any(isinstance(t, Float16Type) for inner in ops for t in inner.result_types)
        emitter = ScalarEmitter(builder, contract=contract)
        for inner in ops:
            env[inner.results[0]] = emitter.emit(inner, [env[v] for v in inner.operands])
