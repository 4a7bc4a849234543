"""Functions and gradients of single examples, a microbatch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from optcc.errors import message
from optcc.microbatching.accumulators import AccumulationType, accumulator_of
from optcc.microbatching.loop import microbatch


class IndividualOutputs(NamedTuple):
    """What `micro_grad` returns besides gradients, one for each example: values, metrics, auxiliary outputs."""

    values: Any
    metrics: Any
    aux: Any


def micro_vmap(
    fun: Callable[..., Any],
    in_axes: int | Sequence[int | None] = 0,
    out_axes: Any = 0,
    *,
    microbatch_size: int | None = None,
    vmap_fn: Callable[..., Any] = jax.vmap,
    accumulator: Any = AccumulationType.CONCAT,
    num_real_microbatches: int | jax.Array | None = None,
) -> Callable[..., Any]:
    """`jax.vmap` in microbatches, whose outputs are put together.

    Args:
      fun: function of one example.
      in_axes: the batch axis of each positional argument, None for one that is no batch; one number is for all.
        Keyword arguments are batches with the axis 0.
      out_axes: 0.
      microbatch_size: examples evaluated at once; divides the batch. None evaluates all at once.
      vmap_fn: used in place of `jax.vmap`, as ``vmap_fn(fun, in_axes, out_axes)``.
      accumulator: as in `microbatch`. ``CONCAT`` is `jax.vmap`; ``SUM`` and the means reduce over the examples.
      num_real_microbatches: as in `microbatch`.

    Raises:
      NotImplementedError: another ``out_axes``.
      ValueError: when called, as in `microbatch`.
    """
    if out_axes != 0:
        raise NotImplementedError(message(f"micro_vmap: out_axes must be 0, got {out_axes}", fix="move the axis after"))

    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = (in_axes,) * len(args) if isinstance(in_axes, int) else tuple(in_axes)

        def part(*args: Any, kwargs: dict[str, Any]) -> Any:
            outputs = vmap_fn(fun, axes, 0)(*args, **kwargs)
            return accumulator_of(accumulator, 1).aggregate(outputs)

        batches = [(i, axis) for i, axis in enumerate(axes) if axis is not None]
        in_parts = microbatch(
            part,
            [i for i, _ in batches],
            microbatch_size,
            accumulator,
            argnames="kwargs",
            in_axes=(*(axis for _, axis in batches), 0),
            num_real_microbatches=num_real_microbatches,
        )
        return in_parts(*args, kwargs=kwargs)

    return mapped


def _keep(tree: Any) -> Any:
    return tree


def _no_metrics(tree: Any) -> None:
    return None


def micro_grad(
    fun: Callable[..., Any],
    has_aux: bool = False,
    argnums: int | Sequence[int] = 0,
    *,
    batch_argnums: int | Sequence[int] = 1,
    keep_batch_dim: bool = True,
    microbatch_size: int | None = None,
    accumulator: Any = AccumulationType.SUM,
    transform_fn: Callable[[Any], Any] = _keep,
    metrics_fn: Callable[[Any], Any] = _no_metrics,
    num_real_microbatches: int | jax.Array | None = None,
) -> Callable[..., tuple[Any, IndividualOutputs]]:
    """Gradients of single examples, changed one by one and then put together, a microbatch at a time.

    For instance with clipping as ``transform_fn`` it gives the sum of clipped gradients.

    Args:
      fun: function with a scalar value, or a pair of it and auxiliary outputs.
      has_aux: whether ``fun`` returns that pair.
      argnums: the arguments to differentiate by, as in `jax.grad`.
      batch_argnums: the positions of the arguments that are batches, with the axis 0.
      keep_batch_dim: give ``fun`` one example as a batch of length 1; otherwise without that axis.
      microbatch_size: examples evaluated at once; divides the batch. None evaluates all at once.
      accumulator: how gradients are put together, as in `microbatch`.
      transform_fn: function of the gradient of one example; what it returns is put together.
      metrics_fn: function of the gradient of one example.
      num_real_microbatches: as in `microbatch`.

    Returns:
      Function of the same arguments that returns the gradients put together, and `IndividualOutputs`, whose leaves have
      one entry for each example.

    Raises:
      ValueError: when called, as in `microbatch`.
    """
    batches = (batch_argnums,) if isinstance(batch_argnums, int) else tuple(batch_argnums)
    value_and_grad = jax.value_and_grad(fun, argnums, has_aux=has_aux)

    def of_example(*args: Any, **kwargs: Any) -> tuple[Any, IndividualOutputs]:
        if keep_batch_dim:
            args = tuple(_with_batch_axis(a) if i in batches else a for i, a in enumerate(args))
        value, gradient = value_and_grad(*args, **kwargs)
        value, aux = value if has_aux else (value, None)
        return transform_fn(gradient), IndividualOutputs(value, metrics_fn(gradient), aux)

    return micro_vmap(
        of_example,
        [0 if i in batches else None for i in range(max(batches) + 1)],
        microbatch_size=microbatch_size,
        accumulator=(accumulator, AccumulationType.CONCAT),
        num_real_microbatches=num_real_microbatches,
    )


def _with_batch_axis(tree: Any) -> Any:
    return jax.tree.map(lambda x: jnp.expand_dims(x, 0), tree)
