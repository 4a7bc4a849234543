"""The loop nest of a kernel, and what it accumulates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite.ir.values import MDValue
from xdsl.dialects.builtin import Float32Type, Float64Type
from xdsl.ir import Attribute

from optcc.dialect import Combiner
from optcc.lowering.native.llvm.types import F64, I32, I64, Builder, Value, call, carrier, convert, is_narrow

_EXTREMA = {Combiner.MAX: "maximum", Combiner.MIN: "minimum"}
_IDENTITIES = {Combiner.ADD: 0.0, Combiner.MAX: float("-inf"), Combiner.MIN: float("inf")}


@contextmanager
def loop(builder: Builder, start: Value, stop: Value, lanes: int = 0) -> Iterator[Value]:
    """A loop over the integers from `start` up to `stop`; yields the index, the builder inside the loop.

    With `lanes`, LLVM is told how many iterations one of its vector loop is to do.
    """
    before = builder.block
    head, body, after = (builder.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(I64, "i")
    index.add_incoming(start, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(builder.add(index, I64(1), flags=("nsw",)), builder.block)
    back = builder.branch(head)
    if lanes:
        _set_lanes(back, lanes)
    builder.position_at_end(after)


def _set_lanes(back: Value, lanes: int) -> None:
    """Fix the number of lanes of the loop that a branch closes. The name of a loop is a node that refers to itself."""
    module = back.module
    node = MDValue(module, (), name=str(len(module.metadata)))
    node.operands = (node, module.add_metadata(["llvm.loop.vectorize.width", I32(lanes)]))
    back.set_metadata("llvm.loop", node)


class Nest:
    """The dimensions of the iteration space, and where arrays that keep only some of them have their elements."""

    def __init__(
        self, builder: Builder, run: tuple[Value, Value], sizes: Sequence[Value], kept: set[int], lanes: int = 0
    ) -> None:
        self.builder = builder
        self.lanes = lanes
        self.bounds = [run, *((I64(0), size) for size in sizes[1:])]
        self.rank = len(sizes)
        self.strides = {mask: self._strides(mask, sizes) for mask in kept}

    def _strides(self, mask: int, sizes: Sequence[Value]) -> list[Value | None]:
        """Elements between neighbours along each dimension; None along one that is not kept."""
        strides: list[Value | None] = [None] * self.rank
        stride: Value = I64(1)
        for d in reversed(range(self.rank)):
            if mask >> d & 1:
                strides[d] = stride
                stride = self.builder.mul(stride, sizes[d]) if d else stride
        return strides

    def keeps_inner(self, mask: int) -> bool:
        """Whether the innermost dimension is among those of a mask."""
        return bool(mask >> (self.rank - 1) & 1)

    def run(self, folds: Sequence[Fold], inner: Callable[[dict[int, Value]], None]) -> None:
        """Emit the loops around `inner`, which gets the offset of the element for each mask and feeds the folds."""

        def level(d: int, offsets: dict[int, Value]) -> None:
            innermost = d == self.rank - 1
            for fold in folds if innermost else ():
                fold.before_row()
            with loop(self.builder, *self.bounds[d], lanes=self.lanes if innermost else 0) as index:
                below = {mask: self._advance(mask, d, offset, index) for mask, offset in offsets.items()}
                if innermost:
                    inner(below)
                else:
                    level(d + 1, below)
            for fold in folds if innermost else ():
                fold.after_row(offsets)

        level(0, {mask: I64(0) for mask in self.strides})
        for fold in folds:
            fold.finish()

    def _advance(self, mask: int, d: int, offset: Value, index: Value) -> Value:
        stride = self.strides[mask][d]
        if stride is None:
            return offset
        return self.builder.add(offset, index if d == self.rank - 1 else self.builder.mul(index, stride))


class Fold:
    """A combined result of a map: a sum in double, or an extremum in the type of the elements.

    `kept` is None for the fold of the whole chunk, which is stored, else the dimensions of the buffer of doubles that
    the fold is combined into.
    """

    def __init__(self, nest: Nest, kind: Combiner, element: Attribute, kept: int | None, partial: Value) -> None:
        self.nest = nest
        self.builder = nest.builder
        self.kind = kind
        self.element = element
        self.kept = kept
        self.partial = partial
        self.type_ = self._accumulated_in()
        self.along_buffer = kept is not None and nest.keeps_inner(kept)
        self.total: Any = None if self.along_buffer else self.builder.alloca(carrier(self.type_))
        if kept is None:
            self.reset()

    def _accumulated_in(self) -> Attribute:
        if self.kind is Combiner.ADD:
            return Float64Type()
        return Float32Type() if is_narrow(self.element) else self.element

    def reset(self) -> None:
        """Start the total again."""
        self.builder.store(self.total.allocated_type(_IDENTITIES[self.kind]), self.total)

    def before_row(self) -> None:
        """Before the innermost loop."""
        if self.kept is not None and not self.along_buffer:
            self.reset()

    def add(self, value: Value, offsets: dict[int, Value]) -> None:
        """Take in one value of the body."""
        value = convert(self.builder, value, self.element, self.type_)
        if self.along_buffer:
            self._into_buffer(value, offsets)
            return
        total = self.builder.load(self.total, typ=self.total.allocated_type)
        self.builder.store(self._combine(total, value), self.total)

    def after_row(self, offsets: dict[int, Value]) -> None:
        """After the innermost loop; the offsets are those of the row."""
        if self.kept is not None and not self.along_buffer:
            self._into_buffer(self.builder.load(self.total, typ=self.total.allocated_type), offsets)

    def finish(self) -> None:
        """After all loops."""
        if self.kept is None:
            total = self.builder.load(self.total, typ=self.total.allocated_type)
            self.builder.store(convert(self.builder, total, self.type_, Float64Type()), self.partial)

    def _into_buffer(self, value: Value, offsets: dict[int, Value]) -> None:
        assert self.kept is not None
        place = self.builder.gep(self.partial, [offsets[self.kept]], inbounds=True, source_etype=F64)
        value = convert(self.builder, value, self.type_, Float64Type())
        self.builder.store(self._combine(self.builder.load(place, typ=F64), value), place)

    def _combine(self, total: Value, value: Value) -> Value:
        if self.kind is Combiner.ADD:
            # Only here may LLVM reorder: it keeps one total a lane.
            return self.builder.fadd(total, value, flags=("reassoc",))
        return call(self.builder, f"llvm.{_EXTREMA[self.kind]}.{value.type.intrinsic_name}", value.type, [total, value])
