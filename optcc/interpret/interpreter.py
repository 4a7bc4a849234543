"""The reference interpreter: evaluates a function of the IR in jax.numpy, at any stage of the pipeline.

A tree is a list of arrays, one for each leaf of its set; a per-leaf tree a list of 0-d arrays; a scalar a 0-d array,
or a Python number as long as only hyperparameters are involved. Everything is traceable by JAX.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import accumulate
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from xdsl.dialects import arith, func, math
from xdsl.dialects import complex as complex_dialect
from xdsl.dialects.builtin import FloatAttr, IntegerAttr, ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import SymbolTable

from optcc.dialect import (
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
    YieldOp,
    shapes_of,
)
from optcc.dialect import leaf_set as leaves_of
from optcc.dtypes import dtype_of
from optcc.interpret.rounding import round_array, round_number
from optcc.program.split_join import join_values, split_values

Value = Any
Env = dict[SSAValue, Value]

_CMPF: dict[int, Callable[[Any, Any], Any]] = {
    1: operator.eq,
    2: operator.gt,
    3: operator.ge,
    4: operator.lt,
    5: operator.le,
    8: lambda a, b: ~((a < b) | (a > b)),
    13: operator.ne,
}
"""By xDSL's predicate number: oeq, ogt, oge, olt, ole, ueq, une."""
_CMPI: dict[int, Callable[[Any, Any], Any]] = {
    0: operator.eq,
    1: operator.ne,
    2: operator.lt,
    3: operator.le,
    4: operator.gt,
    5: operator.ge,
}
_ELEMENTWISE: dict[type[Operation], Callable[..., Any]] = {
    arith.AddfOp: operator.add,
    arith.SubfOp: operator.sub,
    arith.MulfOp: operator.mul,
    arith.DivfOp: operator.truediv,
    arith.NegfOp: operator.neg,
    arith.MaximumfOp: jnp.maximum,
    arith.MinimumfOp: jnp.minimum,
    arith.AddiOp: operator.add,
    arith.SubiOp: operator.sub,
    arith.MuliOp: operator.mul,
    arith.MaxSIOp: jnp.maximum,
    arith.MinSIOp: jnp.minimum,
    arith.RemSIOp: lax.rem,
    arith.AndIOp: operator.and_,
    arith.OrIOp: operator.or_,
    arith.XOrIOp: operator.xor,
    arith.SelectOp: jnp.where,
    complex_dialect.AddOp: operator.add,
    complex_dialect.CreateOp: lax.complex,
    complex_dialect.ImOp: jnp.imag,
    complex_dialect.ReOp: jnp.real,
    math.AbsFOp: jnp.abs,
    math.CeilOp: jnp.ceil,
    math.CosOp: jnp.cos,
    math.ExpOp: jnp.exp,
    math.ExpM1Op: jnp.expm1,
    math.FloorOp: jnp.floor,
    math.LogOp: jnp.log,
    math.Log1pOp: jnp.log1p,
    math.PowFOp: jnp.power,
    math.RsqrtOp: lax.rsqrt,
    math.SinOp: jnp.sin,
    math.SqrtOp: jnp.sqrt,
    math.TanhOp: jnp.tanh,
}
_NUMPY: dict[type[Operation], Callable[..., Any]] = {
    arith.MaximumfOp: np.maximum,
    arith.MinimumfOp: np.minimum,
    arith.MaxSIOp: np.maximum,
    arith.MinSIOp: np.minimum,
    arith.RemSIOp: np.fmod,
    arith.SelectOp: lambda c, a, b: a if c else b,
    math.AbsFOp: np.abs,
    math.CeilOp: np.ceil,
    math.CosOp: np.cos,
    math.ExpOp: np.exp,
    math.ExpM1Op: np.expm1,
    math.FloorOp: np.floor,
    math.LogOp: np.log,
    math.Log1pOp: np.log1p,
    math.PowFOp: np.power,
    math.RsqrtOp: lambda a: 1 / np.sqrt(a),
    math.SinOp: np.sin,
    math.SqrtOp: np.sqrt,
    math.TanhOp: np.tanh,
}
"""For numbers that Python computes: numpy keeps float64 where JAX, without x64, would not."""
CASTS = (
    arith.ExtFOp,
    arith.TruncFOp,
    arith.SIToFPOp,
    arith.UIToFPOp,
    arith.FPToSIOp,
    arith.ExtSIOp,
    arith.ExtUIOp,
    arith.TruncIOp,
)
"""The ops that convert from one scalar type to another."""
_FOLDS: dict[Combiner, tuple[Callable[..., Any], Callable[..., Any]]] = {
    Combiner.ADD: (jnp.sum, jnp.add),
    Combiner.MAX: (jnp.max, jnp.maximum),
    Combiner.MIN: (jnp.min, jnp.minimum),
}


def evaluate(
    module: ModuleOp,
    name: str,
    arguments: Sequence[Value],
    *,
    bindings: Mapping[str, Any] | None = None,
    callables: Mapping[str, Callable[..., Any]] | None = None,
) -> list[Value]:
    """Run the function `name` of a module.

    `bindings` gives values to hyperparameters, over their defaults; `callables` the functions that `optim.call` names.
    Raises KeyError for a function, a callee or an unbound hyperparameter that is not there.
    """
    function = SymbolTable.lookup_symbol(module, name)
    if not isinstance(function, func.FuncOp):
        raise KeyError(f"the module has no function @{name}")
    run = _Run(bindings or {}, callables or {})
    env: Env = dict(zip(function.body.block.args, arguments, strict=True))
    return run.block(function.body.block, env)


class _Run:
    def __init__(self, bindings: Mapping[str, Any], callables: Mapping[str, Callable[..., Any]]) -> None:
        self.bindings = bindings
        self.callables = callables

    def block(self, block: Block, env: Env) -> list[Value]:
        """Run the ops of a block; the values of its terminator."""
        for op in block.ops:
            if isinstance(op, func.ReturnOp | YieldOp):
                return [env[v] for v in op.operands]
            env.update(zip(op.results, self.operation(op, env), strict=True))
        raise ValueError("the block has no terminator")

    def operation(self, op: Operation, env: Env) -> Sequence[Value]:
        match op:
            case MapOp():
                return _map(op, [env[v] for v in op.inputs])
            case SweepOp():
                return self.block(op.body.block, env)
            case ReduceOp():
                return [_fold(op.combiner.data, op.result.type, env[op.operand], leaves_of(op, op.tree.leaves))]
            case SplitOp():
                return split_values(op, env[op.whole])
            case JoinOp():
                return [join_values(op, [env[v] for v in op.parts])]
            case ReshapeOp():
                return [_reshape(op, env[op.operand])]
            case PackOp():
                return [_reshape(op, [jnp.stack([jnp.asarray(env[v]) for v in op.inputs])])]
            case UnpackOp():
                flat = [jnp.ravel(x) for x in env[op.operand]]
                return [x[i] for x in flat for i in range(x.size)]
            case SplitKeyOp():
                return [split_key(op, env[op.key])]
            case RandomOp():
                return [draw(op, env[op.key])]
            case CountOp():
                assert isinstance(op.result.type, TreeType)
                return [[np.asarray(n, dtype_of(op.result.type.element)) for n in op.counts]]
            case HyperOp():
                return [self._hyper(op)]
            case CallOp():
                if op.callee.data not in self.callables:
                    raise KeyError(f'no function is bound to the callee "{op.callee.data}"')
                return self.callables[op.callee.data](*(env[v] for v in op.arguments))
            case _:
                return [scalar_op(op, [env[v] for v in op.operands])]

    def _hyper(self, op: HyperOp) -> Value:
        key = op.key.data
        if key in self.bindings:
            return self.bindings[key]
        if op.default is None:
            raise KeyError(f'hyperparameter "{key}" has no default and is not bound')
        return np.float64(op.default.value.data)


def scalar_op(op: Operation, args: Sequence[Value]) -> Value:
    """Evaluate one op of `arith` or `math`, on arrays of any one shape."""
    if isinstance(op, arith.ConstantOp):
        assert isinstance(op.value, FloatAttr | IntegerAttr)
        return np.asarray(op.value.value.data, dtype_of(op.result.type))[()]
    if isinstance(op, CASTS):
        return _cast(args[0], dtype_of(op.results[0].type))
    if isinstance(op, arith.CmpfOp):
        return _CMPF[op.predicate.value.data](*args)
    if isinstance(op, arith.CmpiOp):
        return _CMPI[op.predicate.value.data](*args)
    if type(op) not in _ELEMENTWISE:
        raise NotImplementedError(f"the interpreter has no rule for '{op.name}'")
    if all(isinstance(a, np.generic) for a in args):
        with np.errstate(all="ignore"):
            return _NUMPY.get(type(op), _ELEMENTWISE[type(op)])(*args)
    return _ELEMENTWISE[type(op)](*args)


def _cast(value: Value, dtype: np.dtype) -> Value:
    if isinstance(value, np.generic):
        return round_number(value, dtype)
    if dtype in (np.float16, jnp.bfloat16) and jnp.asarray(value).dtype in (np.float32, np.float64):
        return round_array(jnp.asarray(value), dtype)
    return lax.convert_element_type(value, dtype)


def _map(op: MapOp, inputs: Sequence[Value]) -> list[Value]:
    leaves = leaves_of(op, op.leaves)
    rows = [
        _leaf_map(op, leaf, [_at(v, t, i) for v, t in zip(inputs, op.operand_types, strict=True)])
        for i, leaf in enumerate(leaves)
    ]
    results: list[Value] = []
    for j, (type_, kind) in enumerate(zip(op.result_types, op.kinds, strict=True)):
        column = [row[j] for row in rows]
        results.append(column if kind is Combiner.NONE else _fold(kind, type_, column, leaves))
    return results


def _leaf_map(op: MapOp, leaf: Leaf, args: Sequence[Value]) -> list[Value]:
    """Run the body on whole arrays; every result gets the shape that the iteration has on this leaf."""
    shape = leaf.shape_of(op.domain)
    env: Env = dict(zip(op.block.args, args, strict=True))
    for inner in op.block.ops:
        if isinstance(inner, YieldOp):
            break
        env[inner.results[0]] = scalar_op(inner, [env[v] for v in inner.operands])
    out: list[Value] = []
    for value in op.yields.arguments:
        array = jnp.asarray(env[value], dtype_of(value.type))
        out.append(array if array.shape == shape else jnp.broadcast_to(array, shape))
    return out


def _at(value: Value, type_: Any, index: int) -> Value:
    return value[index] if isinstance(type_, TreeType) else value


def _fold(kind: Combiner, type_: Any, column: Sequence[Value], leaves: Sequence[Leaf]) -> Value:
    """Fold each leaf, or axes of it, then, for a scalar, the leaves in order."""
    fold, combine = _FOLDS[kind]
    dtype = dtype_of(type_.element if isinstance(type_, TreeType) else type_)
    start = identity(kind, dtype)
    folded: list[Value] = []
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


def split_key(op: SplitKeyOp, key: Any) -> Any:
    """Part of a key, as key data. JAX's own function: its stream of numbers is what users expect."""
    keys = jax.random.split(_wrapped(key, op.key.type), op.total.value.data)
    return jax.random.key_data(keys[op.part.value.data])


def draw(op: RandomOp, key: Any) -> list[Any]:
    """The random numbers of every leaf, from key data."""
    type_ = op.result.type
    assert isinstance(type_, TreeType)
    keys = jax.random.split(_wrapped(key, op.key.type), op.total.value.data)
    sample = {Distribution.NORMAL: jax.random.normal}[op.distribution.data]
    shapes = shapes_of(op, type_)
    dtype = dtype_of(type_.element)
    return [sample(keys[part], shape, dtype) for part, shape in zip(op.part_of_leaf, shapes, strict=True)]


def _wrapped(data: Any, type_: Any) -> Any:
    assert isinstance(type_, KeyType)
    return jax.random.wrap_key_data(data, impl=type_.implementation.data)


def _reshape(op: ReshapeOp | PackOp, column: Sequence[Value]) -> list[Value]:
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
