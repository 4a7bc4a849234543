"""The interpreter's rules for the ops of the dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from xdsl.ir import Attribute, SSAValue

from optcc.dialect import (
    AllReduceOp,
    CallOp,
    Combiner,
    CountOp,
    Distribution,
    HyperOp,
    JoinOp,
    KeyType,
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
from optcc.dtypes import dtype_of
from optcc.interpret.interpreter import INTERPRETER, Array, Run, Value
from optcc.program.split_join import join_values, split_values

_FOLDS: dict[Combiner, tuple[Callable[..., jax.Array], Callable[..., jax.Array]]] = {
    Combiner.ADD: (jnp.sum, jnp.add),
    Combiner.MAX: (jnp.max, jnp.maximum),
    Combiner.MIN: (jnp.min, jnp.minimum),
}


def _leaves(value: Value) -> Sequence[Array]:
    """The leaves of a value that is a tree."""
    assert isinstance(value, Sequence)
    return value


def _array(value: Value) -> Array:
    """A value that is a scalar or a key."""
    assert not isinstance(value, Sequence)
    return value


@INTERPRETER.register(MapOp)
def _map(run: Run, op: MapOp, args: Sequence[Value]) -> Sequence[Value]:
    leaves = leaves_of(op, op.leaves)
    columns = [v if isinstance(v, Sequence) else [v] * len(leaves) for v in args]
    rows = [_leaf_map(run, op, leaf, [column[i] for column in columns]) for i, leaf in enumerate(leaves)]
    results: list[Value] = []
    for j, (type_, kind) in enumerate(zip(op.result_types, op.kinds, strict=True)):
        column = [row[j] for row in rows]
        results.append(column if kind is Combiner.NONE else _fold(kind, type_, column, leaves))
    return results


def _leaf_map(run: Run, op: MapOp, leaf: Leaf, args: Sequence[Array]) -> list[Array]:
    """Run the body on whole arrays; every result gets the shape that the iteration has on this leaf."""
    shape = leaf.shape_of(op.domain)
    if run.on_host:
        args = [_number(x) for x in args]
    env: dict[SSAValue, Array] = dict(zip(op.block.args, args, strict=True))
    for inner in op.block.ops:
        if inner is not op.yields:
            env[inner.results[0]] = INTERPRETER.run_scalar(inner, [env[v] for v in inner.operands])
    out: list[Array] = []
    for value in op.yields.arguments:
        numbers = np if run.on_host and isinstance(env[value], np.generic) else jnp
        array = numbers.asarray(env[value], dtype_of(value.type))
        out.append(array if array.shape == shape else numbers.broadcast_to(array, shape))
    return out


def _number(x: Array) -> Array:
    """The number that an array on the host is a view of, or the array."""
    if not isinstance(x, np.ndarray) or any(x.strides):
        return x
    return x.ravel()[0] if x.size else x.dtype.type(0)


def _fold(kind: Combiner, type_: Attribute, column: Sequence[Array], leaves: Sequence[Leaf]) -> Value:
    """Fold each leaf, or axes of it, then, for a scalar, the leaves in order."""
    fold, combine = _FOLDS[kind]
    start = identity(kind, dtype_of(element_type(type_)))
    folded: list[Array] = []
    for leaf, value in zip(leaves, column, strict=True):
        x = jnp.asarray(value)
        initial = {"initial": start} if x.size == 0 else {}
        if isinstance(type_, TreeType) and type_.has_axes:
            axes = tuple(axis for axis in range(x.ndim) if axis not in leaf.kept(type_.extent.data))
            folded.append(fold(x, axis=axes, keepdims=True, **initial))
        else:
            folded.append(fold(x, **initial))
    if isinstance(type_, TreeType):
        return folded
    return reduce(combine, folded) if folded else jnp.asarray(start)


@INTERPRETER.register(SweepOp)
def _sweep(run: Run, op: SweepOp, args: Sequence[Value]) -> Sequence[Value]:
    return run.block(op.body.block, args)


@INTERPRETER.register(ReduceOp)
def _reduce(run: Run, op: ReduceOp, args: Sequence[Value]) -> Sequence[Value]:
    return [_fold(op.combiner.data, op.result.type, _leaves(args[0]), leaves_of(op, op.tree.leaves))]


@INTERPRETER.register(SplitOp)
def _split(run: Run, op: SplitOp, args: Sequence[Value]) -> Sequence[Value]:
    return split_values(op, _leaves(args[0]))


@INTERPRETER.register(JoinOp)
def _join(run: Run, op: JoinOp, args: Sequence[Value]) -> Sequence[Value]:
    return [join_values(op, [_leaves(v) for v in args])]


@INTERPRETER.register(ReshapeOp)
def _reshape(run: Run, op: ReshapeOp, args: Sequence[Value]) -> Sequence[Value]:
    return [_reshaped(op, _leaves(args[0]))]


@INTERPRETER.register(PackOp)
def _pack(run: Run, op: PackOp, args: Sequence[Value]) -> Sequence[Value]:
    return [_reshaped(op, [jnp.stack([jnp.asarray(v) for v in args])])]


@INTERPRETER.register(UnpackOp)
def _unpack(run: Run, op: UnpackOp, args: Sequence[Value]) -> Sequence[Value]:
    flat = [jnp.ravel(x) for x in _leaves(args[0])]
    return [x[i] for x in flat for i in range(x.size)]


_COLLECTIVES: dict[Combiner, Callable[..., jax.Array]] = {
    Combiner.ADD: jax.lax.psum,
    Combiner.MAX: jax.lax.pmax,
    Combiner.MIN: jax.lax.pmin,
}


@INTERPRETER.register(AllReduceOp)
def _all_reduce(run: Run, op: AllReduceOp, args: Sequence[Value]) -> Sequence[Value]:
    """Within `jax.shard_map` over the axes of the mesh; each collective is of one vector."""
    results: list[Any] = [list(x) if isinstance(x, Sequence) else x for x in args]
    for one in op.collectives:
        arrays: list[jax.Array] = []
        for member in one.members:
            value = args[member.operand]
            arrays.append(jnp.asarray(_array(value) if member.leaf is None else _leaves(value)[member.leaf]))
        vectors = [jnp.ravel(_once(x, m.once)) for x, m in zip(arrays, one.members, strict=True)]
        whole = _COLLECTIVES[one.kind](jnp.concatenate(vectors), one.axes)
        parts = jnp.split(whole, np.cumsum([v.size for v in vectors])[:-1])
        for member, x, part in zip(one.members, arrays, parts, strict=True):
            if member.leaf is None:
                results[member.operand] = jnp.reshape(part, x.shape)
            else:
                results[member.operand][member.leaf] = jnp.reshape(part, x.shape)
    return results


def _once(x: jax.Array, axes: Sequence[str]) -> jax.Array:
    """The array at the first place along axes of the mesh, zeros elsewhere."""
    for axis in axes:
        x = jnp.where(jax.lax.axis_index(axis) == 0, x, jnp.zeros_like(x))
    return x


@INTERPRETER.register(CountOp)
def _count(run: Run, op: CountOp, args: Sequence[Value]) -> Sequence[Value]:
    return [[np.asarray(n, dtype_of(element_type(op.result.type))) for n in op.counts]]


@INTERPRETER.register(HyperOp)
def _hyper(run: Run, op: HyperOp, args: Sequence[Value]) -> Sequence[Value]:
    key = op.key.data
    if key in run.bindings:
        return [run.bindings[key]]
    if op.default is None:
        raise KeyError(f'hyperparameter "{key}" has no default and is not bound')
    return [np.float64(op.default.value.data)]


@INTERPRETER.register(CallOp)
def _call(run: Run, op: CallOp, args: Sequence[Value]) -> Sequence[Value]:
    if op.callee.data not in run.callables:
        raise KeyError(f'no function is bound to the callee "{op.callee.data}"')
    return run.callables[op.callee.data](*args)


@INTERPRETER.register(SplitKeyOp)
def _split_key(run: Run, op: SplitKeyOp, args: Sequence[Value]) -> Sequence[Value]:
    """Part of a key, as key data. JAX's own function: its stream of numbers is what users expect."""
    keys = jax.random.split(_wrapped(args[0], op.key.type), op.total.value.data)
    return [jax.random.key_data(keys[op.part.value.data])]


@INTERPRETER.register(RandomOp)
def _draw(run: Run, op: RandomOp, args: Sequence[Value]) -> Sequence[Value]:
    """The random numbers of every leaf, from key data."""
    type_ = op.result.type
    assert isinstance(type_, TreeType)
    keys = jax.random.split(_wrapped(args[0], op.key.type), op.total.value.data)
    sample = {Distribution.NORMAL: jax.random.normal}[op.distribution.data]
    shapes = shapes_of(op, type_)
    dtype = dtype_of(type_.element)
    return [[sample(keys[part], shape, dtype) for part, shape in zip(op.part_of_leaf, shapes, strict=True)]]


def _wrapped(data: Value, type_: Attribute) -> jax.Array:
    assert isinstance(type_, KeyType)
    return jax.random.wrap_key_data(jnp.asarray(_array(data)), impl=type_.implementation.data)


def _reshaped(op: ReshapeOp | PackOp, column: Sequence[Array]) -> list[Array]:
    """Leaf by leaf where the sizes agree, else through one flat array."""
    assert isinstance(op.result.type, TreeType)
    shapes = shapes_of(op, op.result.type)
    if [prod(s) for s in shapes] == [jnp.size(x) for x in column]:
        return [jnp.reshape(x, shape) for x, shape in zip(column, shapes, strict=True)]
    dtype = dtype_of(op.result.type.element)
    flat = jnp.concatenate([jnp.ravel(x) for x in column]) if column else jnp.zeros(0, dtype)
    ends = accumulate(prod(s) for s in shapes)
    return [jnp.reshape(flat[end - prod(s) : end], s) for s, end in zip(shapes, ends, strict=True)]


def identity(kind: Combiner, dtype: np.dtype) -> np.generic:
    """What a fold over nothing gives."""
    if kind is Combiner.ADD:
        return dtype.type(0)
    return dtype.type(-np.inf if kind is Combiner.MAX else np.inf)
