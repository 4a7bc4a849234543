"""How the outputs of microbatches are put together."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optcc.errors import message


class AccumulationType(enum.Enum):
    """A usual way to put outputs together.

    ``SUM``: their sum. ``MEAN``: their sum divided by the number of all microbatches. ``RUNNING_MEAN``: the mean of
    those that were run, kept as such. ``CONCAT``: one after the other, in the order of the batch.
    """

    MEAN = enum.auto()
    SUM = enum.auto()
    RUNNING_MEAN = enum.auto()
    CONCAT = enum.auto()


@dataclasses.dataclass(frozen=True)
class Accumulator:
    """Functions that put the outputs of microbatches together.

    Attributes:
      init: from the shapes and dtypes of one output to the first carry.
      update: from the carry, an output and its number to the next carry, of the same shapes.
      finalize: from the last carry to the result.
      aggregate: from outputs along a new leading axis to what one microbatch gives, for functions of single examples.
    """

    init: Callable[[Any], Any]
    update: Callable[[Any, Any, Any], Any]
    finalize: Callable[[Any], Any]
    aggregate: Callable[[Any], Any]


def accumulator_of(tree: Any, microbatches: int) -> Accumulator:
    """One accumulator for a whole output.

    Args:
      tree: an accumulator or an `AccumulationType`, or a pytree of them whose structure is a prefix of the output's.
      microbatches: the number of microbatches.

    Raises:
      ValueError: something else in the tree.
    """
    each = jax.tree.map(lambda kind: _of_kind(kind, microbatches), tree)
    return Accumulator(
        lambda value: jax.tree.map(lambda a, v: a.init(v), each, value),
        lambda carry, value, index: jax.tree.map(lambda a, c, v: a.update(c, v, index), each, carry, value),
        lambda carry: jax.tree.map(lambda a, c: a.finalize(c), each, carry),
        lambda values: jax.tree.map(lambda a, v: a.aggregate(v), each, values),
    )


def _of_kind(kind: Any, microbatches: int) -> Accumulator:
    if isinstance(kind, Accumulator):
        return kind
    if kind is AccumulationType.SUM:
        return _by_leaf(jnp.zeros_like, _add, _same, _sum_first)
    if kind is AccumulationType.MEAN:
        return _by_leaf(_floating_zeros, _add, lambda carry: carry / microbatches, _mean_first)
    if kind is AccumulationType.RUNNING_MEAN:
        return _by_leaf(_floating_zeros, _move_mean, _same, _mean_first)
    if kind is AccumulationType.CONCAT:
        return _by_leaf(
            lambda value: jnp.zeros((microbatches, *value.shape), value.dtype),
            lambda carry, value, index: carry.at[index].set(value),
            _join_microbatches,
            _same,
        )
    raise ValueError(message(f"microbatch: unknown accumulator {kind!r}", fix="use an AccumulationType or Accumulator"))


def _by_leaf(init: Any, update: Any, finalize: Any, aggregate: Any) -> Accumulator:
    return Accumulator(
        lambda value: jax.tree.map(init, value),
        lambda carry, value, index: jax.tree.map(lambda c, v: update(c, v, index), carry, value),
        lambda carry: jax.tree.map(finalize, carry),
        lambda values: jax.tree.map(aggregate, values),
    )


def _same(x: jax.Array) -> jax.Array:
    return x


def _add(carry: jax.Array, value: jax.Array, index: jax.Array) -> jax.Array:
    return carry + value


def _sum_first(x: jax.Array) -> jax.Array:
    return jnp.sum(x, axis=0)


def _mean_first(x: jax.Array) -> jax.Array:
    return jnp.mean(x, axis=0)


def _move_mean(carry: jax.Array, value: jax.Array, index: jax.Array) -> jax.Array:
    """The mean of one value more. Weighed like this it has no overflow that the values have not."""
    share = jnp.asarray(index / (index + 1), carry.dtype)
    return carry * share + value * (1 - share)


def _floating_zeros(value: Any) -> jax.Array:
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(
            message(
                f"microbatch: MEAN and RUNNING_MEAN need floating-point outputs, got {value.dtype}",
                fix="use SUM or CONCAT, or return floats",
            )
        )
    return jnp.zeros_like(value)


def _join_microbatches(carry: jax.Array) -> jax.Array:
    """``[microbatches, size, ...]`` to ``[batch, ...]``: the inverse of `reshape_batch_axis`."""
    return jnp.swapaxes(carry, 0, 1).reshape(-1, *carry.shape[2:])
