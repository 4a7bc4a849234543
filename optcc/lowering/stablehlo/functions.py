"""Lowers a function of sweeps to StableHLO, inside a module that JAX is building.

Every map becomes one private function for each shape of its leaves, called once a leaf, so that the module grows by a
call, not by a body, with each leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import accumulate, zip_longest
from math import prod
from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import func as func_dialect
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.dialects import func
from xdsl.ir import Attribute, Operation, SSAValue

from optcc.dialect import (
    CallOp,
    Combiner,
    CountOp,
    Extent,
    JoinOp,
    Leaf,
    MapOp,
    PackOp,
    RandomOp,
    ReduceOp,
    ReshapeOp,
    SplitKeyOp,
    SplitOp,
    SweepOp,
    TreeType,
    UnpackOp,
    element_type,
    shapes_of,
)
from optcc.dialect import leaf_set as leaves_of
from optcc.lowering.cache_tiles import LeafTile, blocks_of, bytes_of, fits, is_scalar, restricted
from optcc.lowering.native.calls import why_not_native
from optcc.lowering.native.custom_calls import NativeCalls
from optcc.lowering.packed_values import Element, PackedView, Vector, as_buffer, as_leaves, as_one_leaf, as_vector
from optcc.lowering.stablehlo import reductions
from optcc.lowering.stablehlo.scalar_ops import broadcast, constant, emit, tensor, vector_constant
from optcc.lowering.xla_cpu.loops import XlaLoop, arguments_of, is_plain_reduction, plan
from optcc.lowering.xla_cpu.ordering import force_async_dispatch, order_after
from optcc.program.split_join import join_values, split_values
from optcc.program.storage import Packing

DISPATCH_BYTES = 16 << 20
"""With as many bytes of arguments, a program of native kernels runs beside the thread that dispatched it."""

Value = Any
CallLowering = Callable[[CallOp | SplitKeyOp | RandomOp, list[Any]], list[Any]]


class StableHLO:
    """Emits functions into a StableHLO module.

    `insert` puts a function op into the module's symbol table; `call` lowers what JAX defines: an opaque call, and
    random numbers. `cpu` chooses the forms
    that suit XLA:CPU (see `kernels`); other targets get each map as one expression, which they fuse by themselves.
    With `native`, the sweeps that it supports become calls of native kernels, and per-leaf values vectors.
    """

    def __init__(
        self,
        module: ir.Module,
        insert: Callable[[Any], Any],
        call: CallLowering,
        *,
        cpu: bool,
        native: NativeCalls | None = None,
    ) -> None:
        self.module = module
        self.insert = insert
        self.call = call
        self.cpu = cpu
        self.native = native
        self.bodies: dict[Any, Any] = {}

    def lower(
        self, function: func.FuncOp, arguments: Sequence[Value], packings: Sequence[Packing | None] = ()
    ) -> list[Value]:
        """Emit the body of a function at the current place; arguments and results as the interpreter has them.

        An argument may be a `PackedView` or an `Element`; a result is one buffer where `packings` has a packing for it.
        """
        if self.native is not None:
            sizes = bytes_of(function)
            if sum(sizes.values()) >= DISPATCH_BYTES and (number := _a_number(arguments)) is not None:
                self.native.order_after(force_async_dispatch(number))
            is_packed = any(packings) or any(isinstance(v, PackedView) for v in arguments)
            foreign = any(why_not_native(op) for op in function.body.block.ops if isinstance(op, SweepOp))
            if not is_packed and not foreign and (blocks := blocks_of(function, sizes)):
                return self._lower_blocks(self.native, function, arguments, blocks, sizes)
        results = self._run(function, arguments, {})
        return [as_buffer(v, p) if p else as_leaves(v) for v, p in zip_longest(results, packings)]

    def _lower_blocks(
        self,
        native: NativeCalls,
        function: func.FuncOp,
        arguments: Sequence[Value],
        blocks: Sequence[LeafTile],
        sizes: dict[str, int],
    ) -> list[Value]:
        """The results of a function that runs on one block of leaves after the other."""
        scalars: dict[int, list[Value]] = {}
        by_path: list[dict[str, Value]] = [{} for _ in function.function_type.outputs]
        results: list[Value] = []
        for block in blocks:
            native.begin_block(fits(block, sizes))
            part = restricted(function, block)
            chosen = [
                [x for x, leaf in zip(v, leaves_of(function, a.type.leaves), strict=True) if leaf.path in block]
                if isinstance(a.type, TreeType)
                else v
                for v, a in zip(arguments, function.args, strict=True)
            ]
            results = [as_leaves(v) for v in self._run(part, chosen, scalars)]
            for found, value, type_ in zip(by_path, results, part.function_type.outputs, strict=True):
                if isinstance(type_, TreeType):
                    found.update((leaf.path, x) for leaf, x in zip(leaves_of(part, type_.leaves), value, strict=True))
            native.order_after_last_call()
        return [
            [found[leaf.path] for leaf in leaves_of(function, type_.leaves)] if isinstance(type_, TreeType) else value
            for found, value, type_ in zip(by_path, results, function.function_type.outputs, strict=True)
        ]

    def _run(self, function: func.FuncOp, arguments: Sequence[Value], scalars: dict[int, list[Value]]) -> list[Value]:
        """The results of a function. `scalars` are those of ops without leaves, by place: all blocks share them."""
        env: dict[SSAValue, Value] = dict(zip(function.args, arguments, strict=True))
        for place, op in enumerate(function.body.block.ops):
            if isinstance(op, func.ReturnOp):
                return [env[v] for v in op.arguments]
            if place in scalars:
                env.update(zip(op.results, scalars[place], strict=True))
                continue
            self._operation(op, env)
            if is_scalar(op):
                scalars[place] = [env[v] for v in op.results]
        raise ValueError("the function has no return")

    def _operation(self, op: Operation, env: dict[SSAValue, Value]) -> None:
        match op:
            case SweepOp():
                self._sweep(op, env)
            case MapOp():
                self._map(op, env, [None] * len(op.outputs))
            case ReduceOp():
                column = as_leaves(env[op.operand])
                env[op.result] = self._fold(op.combiner.data, op.result.type, column, leaves_of(op, op.tree.leaves))
            case SplitOp():
                env.update(zip(op.parts, _split(op, env[op.whole]), strict=True))
            case JoinOp():
                env[op.whole] = _join(op, [env[v] for v in op.parts])
            case ReshapeOp():
                env[op.result] = _reshape(op, as_leaves(env[op.operand]))
            case CountOp():
                assert isinstance(op.result.type, TreeType)
                if self.native is not None and op.counts:
                    env[op.result] = Vector(vector_constant(op.counts, op.result.type.element))
                else:
                    env[op.result] = [constant(n, op.result.type.element) for n in op.counts]
            case PackOp():
                ones = [hlo.reshape(tensor([1], v.type), as_leaves(env[v])) for v in op.inputs]
                env[op.result] = _reshape(op, [hlo.concatenate(ones, 0) if len(ones) > 1 else ones[0]])
            case UnpackOp():
                assert isinstance(op.operand.type, TreeType)
                flat = _flatten(as_leaves(env[op.operand]), op.operand.type.element)
                one = ir.DenseI64ArrayAttr.get([1])
                for i, output in enumerate(op.outputs):
                    start, end = (ir.DenseI64ArrayAttr.get([k]) for k in (i, i + 1))
                    env[output] = hlo.reshape(tensor([], output.type), hlo.slice(flat, start, end, one))
            case SplitKeyOp() | RandomOp() | CallOp():
                env.update(zip(op.results, self.call(op, [as_leaves(env[v]) for v in op.operands]), strict=True))
            case _:
                env[op.results[0]] = emit(op, [as_leaves(env[v]) for v in op.operands])

    def _sweep(self, op: SweepOp, env: dict[SSAValue, Value]) -> None:
        native = None if why_not_native(op) else self.native
        env.update(zip(op.body.block.args, (env[v] for v in op.operands), strict=True))
        for inner, overwritten in zip(op.maps, op.overwritten, strict=True):
            if native is None or not leaves_of(inner, inner.leaves):
                self._map(inner, env, overwritten)
            else:
                self._native_map(native, inner, env, overwritten)
        env.update(zip(op.outputs, (env[v] for v in op.yields.arguments), strict=True))

    def _native_map(
        self, native: NativeCalls, op: MapOp, env: dict[SSAValue, Value], overwritten: Sequence[int | None]
    ) -> None:
        operands = [_as_vector(env[v], t) for v, t in zip(op.inputs, op.operand_types, strict=True)]
        results = native.emit(op, leaves_of(op, op.leaves), operands, overwritten)
        for output, value in zip(op.outputs, results, strict=True):
            per_leaf = isinstance(output.type, TreeType) and output.type.is_per_leaf
            env[output] = Vector(value) if per_leaf else value

    def _vector_map(self, op: MapOp, env: dict[SSAValue, Value]) -> None:
        """A map that runs once a leaf, for all leaves at once."""
        count = len(leaves_of(op, op.leaves))
        local: dict[SSAValue, Value] = {}
        for argument, v in zip(op.block.args, op.inputs, strict=True):
            local[argument] = as_vector(env[v]) if isinstance(v.type, TreeType) else as_leaves(env[v])
        for inner in op.block.ops:
            if inner is not op.yields:
                local[inner.results[0]] = emit(inner, [local[v] for v in inner.operands])
        for output, value, kind in zip(op.outputs, op.yields.arguments, op.kinds, strict=True):
            vector = broadcast(local[value], [count])
            if kind is Combiner.NONE:
                env[output] = Vector(vector)
            else:
                env[output] = reductions.fold([vector], [kind], value.type, cpu=False, plain=True)[0]

    def _map(self, op: MapOp, env: dict[SSAValue, Value], overwritten: Sequence[int | None]) -> None:
        leaves = leaves_of(op, op.leaves)
        if self.native is not None and op.domain == Extent.PER_LEAF and leaves:
            self._vector_map(op, env)
            return
        operands = [env[v] for v in op.inputs]
        if one := as_one_leaf(op, operands, overwritten):
            args = [v.buffer.tensor if isinstance(v, PackedView) else as_leaves(v) for v in operands]
            results = func_dialect.CallOp(self._body(op, one, overwritten), args).results
            for output, target, result in zip(op.outputs, overwritten, results, strict=True):
                assert target is not None
                operands[target].buffer.tensor = result
                env[output] = operands[target]
            return
        inputs = [as_leaves(v) for v in operands]
        rows: list[list[Value]] = []
        for i, leaf in enumerate(leaves):
            args = [v[i] if isinstance(t, TreeType) else v for v, t in zip(inputs, op.operand_types, strict=True)]
            body = self._body(op, leaf, overwritten)
            rows.append(list(func_dialect.CallOp(body, args).results))
        for j, (result, kind) in enumerate(zip(op.outputs, op.kinds, strict=True)):
            column = [row[j] for row in rows]
            if kind is not Combiner.NONE and not isinstance(result.type, TreeType):
                env[result] = _total(kind, result.type, column)
            else:
                env[result] = column

    def _body(self, op: MapOp, leaf: Leaf, overwritten: Sequence[int | None]) -> Any:
        """The private function of a map for leaves of one shape and the same axis extents."""
        key = op, *((leaf.shape, leaf.axes) if op.domain != Extent.PER_LEAF else ())
        if key not in self.bodies:
            types = [tensor(_shape_of(leaf, t), element_type(t)) for t in op.operand_types]
            results = [tensor(_shape_of(leaf, t), element_type(t)) for t in op.result_types]
            with ir.InsertionPoint.at_block_begin(self.module.body):
                function = func_dialect.FuncOp("optcc_map", ir.FunctionType.get(types, results), visibility="private")
                self.insert(function)
                entry = function.add_entry_block()
            with ir.InsertionPoint(entry):
                emitter = _Body(op, leaf, self.cpu)
                func_dialect.ReturnOp(emitter.emit(list(entry.arguments), overwritten))
            self.bodies[key] = function
        return self.bodies[key]

    def _fold(self, kind: Combiner, type_: Attribute, column: Sequence[Value], leaves: Sequence[Leaf]) -> Value:
        scalar = element_type(type_)
        if isinstance(type_, TreeType) and type_.has_axes:
            kept = [leaf.kept(type_.extent.data) for leaf in leaves]
            return [reductions.fold_axes(v, kind, scalar, k) for v, k in zip(column, kept, strict=True)]
        folded = [
            reductions.fold([v], [kind], scalar, cpu=self.cpu, plain=True)[0] if leaf.shape else v
            for v, leaf in zip(column, leaves, strict=True)
        ]
        return folded if isinstance(type_, TreeType) else _total(kind, type_, folded)


def _tensors(argument: Value) -> Sequence[Value]:
    """The tensors that an argument of a function consists of."""
    match argument:
        case Element():
            return [argument.vector]
        case PackedView():
            return [argument.buffer.tensor]
        case list() | tuple():
            return argument
        case _:
            return [argument]


def _a_number(arguments: Sequence[Value]) -> Value | None:
    """A tensor with a number in it, a hyperparameter's if there is one; None where all are empty, complex or truths."""
    hypers_first = sorted(arguments, key=lambda v: not isinstance(v, Element))
    return next((x for v in hypers_first for x in _tensors(v) if _has_number(x)), None)


def _has_number(tensor_: Value) -> bool:
    """Whether a tensor has an element, and that is neither complex nor a truth value."""
    type_ = ir.RankedTensorType(tensor_.type)
    return prod(type_.shape) > 0 and getattr(type_.element_type, "width", 0) > 1


def _split(op: SplitOp, whole: Value) -> Sequence[Value]:
    if isinstance(whole, PackedView):
        return [replace(whole, places=tuple(part)) for part in split_values(op, whole.places)]
    return split_values(op, as_leaves(whole))


def _join(op: JoinOp, parts: Sequence[Value]) -> Value:
    first = parts[0]
    if isinstance(first, PackedView) and all(isinstance(p, PackedView) and p.buffer is first.buffer for p in parts):
        return replace(first, places=tuple(join_values(op, [p.places for p in parts])))
    return join_values(op, [as_leaves(p) for p in parts])


def _as_vector(value: Value, type_: Attribute) -> Value:
    """The vector of a per-leaf value; another value as it is."""
    return as_vector(value) if isinstance(type_, TreeType) and type_.is_per_leaf else value


class _Body:
    """The body of a map on leaves like one of them."""

    def __init__(self, op: MapOp, leaf: Leaf, cpu: bool) -> None:
        self.op = op
        self.leaf = leaf
        self.shape = list(leaf.shape_of(op.domain))
        self.cpu = cpu

    def emit(self, arguments: list[Value], overwritten: Sequence[int | None]) -> list[Value]:
        """The results of the map on one leaf."""
        op = self.op
        if not op.over_elements or not self.cpu or not self.shape or 0 in self.shape:
            results = tuple(range(len(op.outputs)))
            stored = tuple(i for i in results if op.kinds[i] is Combiner.NONE)
            reduced = tuple(i for i in results if i not in stored)
            ops = tuple(inner for inner in op.block.ops if inner is not op.yields)
            out: dict[int, Value] = {}
            env: dict[SSAValue, Value] = dict(zip(op.block.args, arguments, strict=True))
            self._run(ops, env)
            self._store(XlaLoop(stored, ops, ()), env, out)
            self._reduce(XlaLoop(reduced, ops, ()), env, out)
            return [out[i] for i in results]
        return self._emit_kernels(arguments, overwritten)

    def _emit_kernels(self, arguments: list[Value], overwritten: Sequence[int | None]) -> list[Value]:
        op = self.op
        out: dict[int, Value] = {}
        kernels = plan(op, overwritten)
        for kernel in kernels:
            used = arguments_of(op, kernel)
            values = [arguments[i] for i in used]
            if len(kernels) > 1 and values:
                values = _barrier(values)
            for first in kernel.after:
                values = order_after(values, out[first])
            env: dict[SSAValue, Value] = {op.block.args[i]: v for i, v in zip(used, values, strict=True)}
            env.update({op.yields.arguments[i]: out[i] for i in kernel.reads})
            self._run(kernel.ops, env)
            if op.kinds[kernel.results[0]] is Combiner.NONE:
                self._store(kernel, env, out)
            else:
                self._reduce(kernel, env, out)
        return [out[i] for i in range(len(op.outputs))]

    def _run(self, ops: Sequence[Operation], env: dict[SSAValue, Value]) -> None:
        for inner in ops:
            env[inner.results[0]] = emit(inner, [env[v] for v in inner.operands])

    def _store(self, kernel: XlaLoop, env: dict[SSAValue, Value], out: dict[int, Value]) -> None:
        for i in kernel.results:
            out[i] = broadcast(env[self.op.yields.arguments[i]], self.shape)

    def _reduce(self, kernel: XlaLoop, env: dict[SSAValue, Value], out: dict[int, Value]) -> None:
        whole = [i for i in kernel.results if not _has_axes(self.op.result_types[i])]
        for i in (i for i in kernel.results if i not in whole):
            value, type_ = self.op.yields.arguments[i], self.op.result_types[i]
            assert isinstance(type_, TreeType)
            array = broadcast(env[value], self.shape)
            out[i] = reductions.fold_axes(array, self.op.kinds[i], value.type, self.leaf.kept(type_.extent.data))
        plain = is_plain_reduction(self.op, kernel)
        groups: dict[Attribute, list[int]] = {}
        for i in whole:
            groups.setdefault(self.op.yields.arguments[i].type, []).append(i)
        for type_, members in groups.items():
            values = [broadcast(env[self.op.yields.arguments[i]], self.shape) for i in members]
            kinds = [self.op.kinds[i] for i in members]
            cpu = self.cpu and bool(self.shape) and 0 not in self.shape
            out.update(zip(members, reductions.fold(values, kinds, type_, cpu=cpu, plain=plain), strict=True))


def _barrier(values: Sequence[Value]) -> list[Value]:
    result = hlo.OptimizationBarrierOp(list(values))
    return list(result.results)


def _total(kind: Combiner, type_: Attribute, column: Sequence[Value]) -> Value:
    """Fold the values of the leaves, in order."""
    if not column:
        return reductions.start(kind, type_)
    total = column[0]
    for value in column[1:]:
        total = reductions.combine(kind, total, value)
    return total


def _has_axes(type_: Attribute) -> bool:
    return isinstance(type_, TreeType) and type_.has_axes


def _shape_of(leaf: Leaf, type_: Attribute) -> tuple[int, ...]:
    """The shape of the tensor that holds a value of some type for one leaf."""
    return leaf.shape_of(type_.extent.data) if isinstance(type_, TreeType) else ()


def _flatten(column: Sequence[Value], type_: Attribute) -> Value:
    """The values of all leaves as one vector."""
    if not column:
        return vector_constant([], type_)
    sizes = [prod(ir.RankedTensorType(v.type).shape) for v in column]
    flat = [hlo.reshape(tensor([n], type_), v) for n, v in zip(sizes, column, strict=True)]
    return hlo.concatenate(flat, 0) if len(flat) > 1 else flat[0]


def _reshape(op: ReshapeOp | PackOp, column: Sequence[Value]) -> list[Value]:
    """Leaf by leaf where the sizes agree, else through one flat tensor."""
    assert isinstance(op.result.type, TreeType)
    scalar, shapes = op.result.type.element, shapes_of(op, op.result.type)
    sizes = [prod(shape) for shape in shapes]
    old_sizes = [prod(ir.RankedTensorType(v.type).shape) for v in column]
    if old_sizes != sizes:
        whole = _flatten(column, scalar)
        one = ir.DenseI64ArrayAttr.get([1])
        ends = list(accumulate(sizes))
        column = [
            hlo.slice(whole, ir.DenseI64ArrayAttr.get([end - n]), ir.DenseI64ArrayAttr.get([end]), one)
            for n, end in zip(sizes, ends, strict=True)
        ]
    return [hlo.reshape(tensor(shape, scalar), v) for shape, v in zip(shapes, column, strict=True)]
