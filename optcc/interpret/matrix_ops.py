"""The interpreter's rules for batches of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from optcc.dialect import MatmulOp, Precision, StackOp, TreeType, UnstackOp, leaf_set
from optcc.interpret.interpreter import INTERPRETER, Run, Value

PRECISIONS = {
    Precision.DEFAULT: jax.lax.Precision.DEFAULT,
    Precision.HIGH: jax.lax.Precision.HIGH,
    Precision.HIGHEST: jax.lax.Precision.HIGHEST,
}


@INTERPRETER.register(StackOp)
def _stack(run: Run, op: StackOp, args: Sequence[Value]) -> Sequence[Value]:
    return [_stacked(op, args[0])]


def _stacked(op: StackOp, leaves: Any) -> list[jax.Array]:
    assert isinstance(op.result.type, TreeType)
    batches = leaf_set(op, op.result.type.leaves)
    parts: list[list[jax.Array]] = [[] for _ in batches]
    for x, place in zip(leaves, op.places.data, strict=True):
        parts[place.batch].append(jnp.transpose(x, place.order).reshape(-1))
    return [jnp.concatenate(part).reshape(batch.shape) for part, batch in zip(parts, batches, strict=True)]


@INTERPRETER.register(UnstackOp)
def _unstack(run: Run, op: UnstackOp, args: Sequence[Value]) -> Sequence[Value]:
    return [_unstacked(op, args[0])]


def _unstacked(op: UnstackOp, batches: Any) -> list[jax.Array]:
    assert isinstance(op.result.type, TreeType)
    flat = [jnp.reshape(x, -1) for x in batches]
    starts = [0] * len(flat)
    found: list[jax.Array] = []
    for leaf, place in zip(leaf_set(op, op.result.type.leaves), op.places.data, strict=True):
        start = starts[place.batch]
        starts[place.batch] += leaf.size
        piece = flat[place.batch][start : start + leaf.size].reshape([leaf.shape[axis] for axis in place.order])
        found.append(piece.transpose(place.inverse))
    return found


@INTERPRETER.register(MatmulOp)
def _matmul(run: Run, op: MatmulOp, args: Sequence[Value]) -> Sequence[Value]:
    return [_products(op, args)]


def _products(op: MatmulOp, args: Sequence[Any]) -> list[jax.Array]:
    lhs, rhs = (
        [jnp.swapaxes(x, -1, -2) if flag else x for x in column]
        for column, flag in zip(args[:2], op.transposed, strict=True)
    )
    precision = PRECISIONS[op.precision.data]
    products = [jnp.matmul(x, y, precision=precision) for x, y in zip(lhs, rhs, strict=True)]
    if op.plus is None:
        return products
    alpha, beta, addend = args[2:]
    return [alpha * x + beta * y for x, y in zip(products, addend, strict=True)]
