"""Lowers a function of sweeps to StableHLO, inside a module that JAX is building.

Every map becomes one private function for each shape of its leaves, called once a leaf, so that the module grows by a
call, not by a body, with each leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import func as func_dialect
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.dialects import func
from xdsl.ir import Attribute, Operation, SSAValue

from optcc.dialect import CallOp, Combiner, JoinOp, Leaf, MapOp, ReduceOp, SplitOp, SweepOp, TreeType, element_type
from optcc.dialect import leaf_set as leaves_of
from optcc.ir.routing import join_values, split_values
from optcc.lowering import reductions
from optcc.lowering.kernels import Kernel, arguments_of, is_plain_reduction, plan
from optcc.lowering.ordering import run_after
from optcc.lowering.scalar_ops import broadcast, emit, tensor
from optcc.passes.utils import argument_slots

Value = Any
CallLowering = Callable[[CallOp, list[Any]], list[Any]]


class StableHLO:
    """Emits functions into a StableHLO module.

    `insert` puts a function op into the module's symbol table; `call` lowers an opaque call. `cpu` chooses the forms
    that suit XLA:CPU (see `kernels`); other targets get each map as one expression, which they fuse by themselves.
    """

    def __init__(self, module: ir.Module, insert: Callable[[Any], Any], call: CallLowering, *, cpu: bool) -> None:
        self.module = module
        self.insert = insert
        self.call = call
        self.cpu = cpu
        self.bodies: dict[tuple[MapOp, tuple[int, ...]], Any] = {}

    def lower(self, function: func.FuncOp, arguments: Sequence[Value]) -> list[Value]:
        """Emit the body of a function at the current place; arguments and results as the interpreter has them."""
        env: dict[SSAValue, Value] = dict(zip(function.args, arguments, strict=True))
        for op in function.body.block.ops:
            if isinstance(op, func.ReturnOp):
                return [env[v] for v in op.arguments]
            self._operation(op, env)
        raise ValueError("the function has no return")

    def _operation(self, op: Operation, env: dict[SSAValue, Value]) -> None:
        match op:
            case SweepOp():
                self._sweep(op, env)
            case MapOp():
                self._map(op, env, [None] * len(op.outputs))
            case ReduceOp():
                env[op.result] = self._fold(
                    op.combiner.data, op.result.type, env[op.operand], leaves_of(op, op.tree.leaves)
                )
            case SplitOp():
                env.update(zip(op.parts, split_values(op, env[op.whole]), strict=True))
            case JoinOp():
                env[op.whole] = join_values(op, [env[v] for v in op.parts])
            case CallOp():
                env.update(zip(op.outputs, self.call(op, [env[v] for v in op.arguments]), strict=True))
            case _:
                env[op.results[0]] = emit(op, [env[v] for v in op.operands])

    def _sweep(self, op: SweepOp, env: dict[SSAValue, Value]) -> None:
        slots = _slot_of_values(op)
        targets = dict(zip(op.yields.arguments, (name.data for name in op.writes), strict=True))
        for inner in op.maps:
            names = [slots.get(v) for v in inner.inputs]
            overwritten = [
                names.index(targets[r]) if targets.get(r) and targets[r] in names else None for r in inner.outputs
            ]
            self._map(inner, env, overwritten)
        env.update(zip(op.outputs, (env[v] for v in op.yields.arguments), strict=True))

    def _map(self, op: MapOp, env: dict[SSAValue, Value], overwritten: Sequence[int | None]) -> None:
        leaves = leaves_of(op, op.leaves)
        inputs = [env[v] for v in op.inputs]
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
        """The private function for one leaf shape of a map."""
        shape = leaf.shape if op.over_elements else ()
        key = (op, shape)
        if key not in self.bodies:
            types = [tensor(shape if _has_elements(t) else (), element_type(t)) for t in op.operand_types]
            results = [
                tensor(shape if kind is Combiner.NONE else (), element_type(t))
                for t, kind in zip(op.result_types, op.kinds, strict=True)
            ]
            with ir.InsertionPoint.at_block_begin(self.module.body):
                function = func_dialect.FuncOp("optcc_map", ir.FunctionType.get(types, results), visibility="private")
                self.insert(function)
                entry = function.add_entry_block()
            with ir.InsertionPoint(entry):
                emitter = _Body(op, list(shape), self.cpu)
                func_dialect.ReturnOp(emitter.emit(list(entry.arguments), overwritten))
            self.bodies[key] = function
        return self.bodies[key]

    def _fold(self, kind: Combiner, type_: Attribute, column: Sequence[Value], leaves: Sequence[Leaf]) -> Value:
        scalar = element_type(type_)
        folded = [
            reductions.fold([v], [kind], scalar, cpu=self.cpu, plain=True)[0] if leaf.shape else v
            for v, leaf in zip(column, leaves, strict=True)
        ]
        return folded if isinstance(type_, TreeType) else _total(kind, type_, folded)


class _Body:
    """The body of a map on leaves of one shape."""

    def __init__(self, op: MapOp, shape: list[int], cpu: bool) -> None:
        self.op = op
        self.shape = shape
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
            self._store(Kernel(stored, ops, ()), env, out)
            self._reduce(Kernel(reduced, ops, ()), env, out)
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
                values = run_after(values, out[first])
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

    def _store(self, kernel: Kernel, env: dict[SSAValue, Value], out: dict[int, Value]) -> None:
        for i in kernel.results:
            out[i] = broadcast(env[self.op.yields.arguments[i]], self.shape if self.op.over_elements else [])

    def _reduce(self, kernel: Kernel, env: dict[SSAValue, Value], out: dict[int, Value]) -> None:
        plain = is_plain_reduction(self.op, kernel)
        groups: dict[Attribute, list[int]] = {}
        for i in kernel.results:
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


def _has_elements(type_: Attribute) -> bool:
    return isinstance(type_, TreeType) and type_.has_elements


def _slot_of_values(sweep: SweepOp) -> dict[SSAValue, str]:
    """The slot that each argument of the function, or part of one, is the array of."""
    function = sweep.parent_op()
    assert isinstance(function, func.FuncOp)
    slots: dict[SSAValue, str] = dict(zip(function.args, argument_slots(function), strict=True))
    for op in function.body.block.ops:
        if isinstance(op, SplitOp) and op.whole in slots:
            slots.update(dict.fromkeys(op.parts, slots[op.whole]))
    return slots
