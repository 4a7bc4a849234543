"""Evaluating a function of a batch part by part, in a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax

from optcc.errors import message
from optcc.microbatching.accumulators import AccumulationType, accumulator_of


def reshape_batch_axis(tree: Any, microbatch_size: int, axis: int = 0) -> Any:
    """The batch axis as two, microbatches and what is in one: ``[..., b, ...]`` to ``[..., b // size, size, ...]``.

    A microbatch has every ``b // size``-th example, not neighbours: when the batch is cut over devices, each of them
    has its share of every microbatch.

    Args:
      tree: pytree of arrays with the same batch axis.
      microbatch_size: examples in a microbatch; divides the length of the axis.
      axis: the batch axis.
    """

    def leaf(x: jax.Array) -> jax.Array:
        place = axis % x.ndim
        parts = x.reshape(*x.shape[:place], microbatch_size, x.shape[place] // microbatch_size, *x.shape[place + 1 :])
        return parts.swapaxes(place, place + 1)

    return jax.tree.map(leaf, tree)


def microbatch(
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    microbatch_size: int | None,
    accumulator: Any = AccumulationType.SUM,
    *,
    argnames: str | Sequence[str] = (),
    in_axes: int | Sequence[int] = 0,
    num_real_microbatches: int | jax.Array | None = None,
) -> Callable[..., Any]:
    """A function that evaluates ``fun`` on parts of a batch, one after the other, and puts the outputs together.

    Memory is that of one part. For instance a sum of losses over a batch, or its gradient, is the sum over parts.

    Args:
      fun: function of batches and of other arguments.
      argnums: the positions of the arguments that are batches, pytrees with one batch axis each.
      microbatch_size: examples in a part; divides the batch. None returns ``fun`` itself.
      accumulator: an `AccumulationType` or an `Accumulator`, or a pytree of them that is a prefix of the output.
      argnames: the names of keyword arguments that are batches.
      in_axes: the batch axis of each of ``argnums``, then of each of ``argnames``; one number is for all.
      num_real_microbatches: how many parts are run, the first ones; None runs all. It may be traced, in which case
        the result has no reverse-mode derivative. ``MEAN`` divides by the number of all parts nevertheless.

    Returns:
      Function of the same arguments. Part ``k`` of ``n`` has the examples ``k, k + n, k + 2 * n, ...``.

    Raises:
      ValueError: when called: the batches differ in length, the size does not divide it, or an accumulator is unknown.
    """
    if microbatch_size is None:
        return fun
    positions = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    names = (argnames,) if isinstance(argnames, str) else tuple(argnames)
    places: tuple[int | str, ...] = (*positions, *names)
    axes = (in_axes,) * len(places) if isinstance(in_axes, int) else tuple(in_axes)

    def microbatched(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(enumerate(args)), **kwargs}
        batches = {place: (given[place], axis) for place, axis in zip(places, axes, strict=True)}
        count = _batch_size(batches, microbatch_size) // microbatch_size
        parts = {place: reshape_batch_axis(tree, microbatch_size, axis) for place, (tree, axis) in batches.items()}

        def part(index: Any) -> Any:
            chosen = {place: _take(parts[place], index, axis) for place, (_, axis) in batches.items()}
            now = {**given, **chosen}
            return fun(*(now[i] for i in range(len(args))), **{name: now[name] for name in kwargs})

        accumulate = accumulator_of(accumulator, count)
        start = accumulate.init(jax.eval_shape(part, 0))
        steps = count if num_real_microbatches is None else num_real_microbatches
        last = lax.fori_loop(0, steps, lambda k, carry: accumulate.update(carry, part(k), k), start)
        return accumulate.finalize(last)

    return microbatched


def _batch_size(batches: dict[int | str, tuple[Any, int]], microbatch_size: int) -> int:
    sizes = {(place, leaf.shape[axis]) for place, (tree, axis) in batches.items() for leaf in jax.tree.leaves(tree)}
    found = {size for _, size in sizes}
    if len(found) != 1:
        shown = ", ".join(f"argument {place!r}: {size}" for place, size in sorted(sizes, key=str))
        raise ValueError(
            message(
                "microbatch: the batch axes must have equal lengths",
                where=shown or "no argument that is a batch has an array",
                fix="check argnums, argnames and in_axes",
            )
        )
    (size,) = found
    if size % microbatch_size:
        raise ValueError(
            message(
                f"microbatch: the batch size {size} must be divisible by microbatch_size={microbatch_size}",
                fix="pad the batch, or choose another size",
            )
        )
    return size


def _take(tree: Any, index: Any, axis: int) -> Any:
    """One microbatch of trees that `reshape_batch_axis` has made; a negative axis counts from the end of the batch."""
    return jax.tree.map(
        lambda x: lax.dynamic_index_in_dim(x, index, axis if axis >= 0 else axis - 1, keepdims=False), tree
    )
