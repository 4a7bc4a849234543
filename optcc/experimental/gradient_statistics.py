"""Means and variances of the gradients of single examples, within a batch and over steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc import base
from optcc.errors import message
from optcc.numerics import safe_increment
from optcc.tree_utils.elementwise import tree_where
from optcc.tree_utils.filling import tree_zeros_like
from optcc.tree_utils.lookup import tree_get

Axes: TypeAlias = int | Sequence[int]
"""The axes of single examples in an array of gradients."""


class AccumulateAvgUpdatesState(NamedTuple):
    """Calls since the last mean, whether the last call returned one, and the mean so far."""

    micro_step: jax.Array
    ready: jax.Array
    avg_grad: base.Updates


class PerElementMeanAndSumSqDiffGradsState(NamedTuple):
    """Calls since the last result, whether the last call had one, the mean and the sum of squared deviations so far."""

    micro_step: jax.Array
    ready: jax.Array
    mean_grads: base.Updates
    sum_sq_diff_grads: base.Updates


class PerElementMeanAndVarianceEMAState(NamedTuple):
    """The number of steps, the decay, and the moving averages of means and variances, which start at zero."""

    count: base.Count
    ema_decay: base.Number
    mean_grads_ema: base.Updates
    variance_grads_ema: base.Updates


def accumulate(old: Any, new: Any, is_last: jax.Array) -> tuple[Any, Any]:
    """The next state and what is returned: zeros until the last call, then the result, and a state of zeros."""
    count = old.micro_step + 1
    going_on = old._replace(**new, micro_step=count, ready=jnp.asarray(False))
    anew = old._replace(**tree_zeros_like(new), micro_step=jnp.zeros_like(count), ready=jnp.asarray(True))
    return tree_where(is_last, anew, going_on), tree_where(is_last, new, tree_zeros_like(new))


def mean_and_squared_deviations(per_elt_updates: base.Updates, axes: Axes) -> tuple[base.Updates, base.Updates]:
    """The mean over examples, and the sum of squares of what each differs from it."""
    axis = axes if isinstance(axes, int) else tuple(axes)
    means = jax.tree.map(lambda g: jnp.mean(g, axis=axis), per_elt_updates)

    def squares(g: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(g - jnp.mean(g, axis=axis, keepdims=True)), axis=axis)

    return means, jax.tree.map(squares, per_elt_updates)


def merged_mean(old: base.Updates, new: base.Updates, count: jax.Array) -> base.Updates:
    """The mean of ``count`` batches of one size from that of all but one, and that of the last."""
    return jax.tree.map(lambda a, g: a + (g - a) / count.astype(a.dtype), old, new)


def merged_squares(
    state: PerElementMeanAndSumSqDiffGradsState, means: base.Updates, squares: base.Updates, batch: int
) -> base.Updates:
    """The squared deviations of all batches so far: each batch's own, and those of its mean from the others'.

    Source: Chan, Golub and LeVeque, *Updating Formulae and a Pairwise Algorithm for Computing Sample Variances*, 1979.
    """
    factor = state.micro_step * batch / (state.micro_step + 1)

    def leaf(total: jax.Array, old_mean: jax.Array, mean: jax.Array, own: jax.Array) -> jax.Array:
        return total + own + jnp.square(mean - old_mean) * factor.astype(total.dtype)

    return jax.tree.map(leaf, state.sum_sq_diff_grads, state.mean_grads, means, squares)


def get_batch_size_from_per_elt_updates(per_elt_updates: base.Updates, per_elt_axis: Axes) -> int:
    """The number of examples in gradients of single examples.

    Args:
      per_elt_updates: pytree of arrays.
      per_elt_axis: the axes of the examples, one or several.

    Raises:
      ValueError: the leaves differ.
    """
    axes = (per_elt_axis,) if isinstance(per_elt_axis, int) else tuple(per_elt_axis)
    sizes = [math.prod(leaf.shape[axis] for axis in axes) for leaf in jax.tree.leaves(per_elt_updates)]
    if len(set(sizes)) != 1:
        raise ValueError(
            message(
                f"Per-element updates must have the same batch size, got {sizes}",
                fix="check per_elt_axis, the axis of the examples",
            )
        )
    return sizes[0]


def track_per_element_mean_and_variance_with_ema(
    ema_decay: ArrayLike = 0.9,
) -> base.GradientTransformationExtraArgs:
    """Moving averages of the mean and of the variance of gradients; the updates pass through.

    ``update`` needs ``sum_sq_diff_grads=`` and ``sample_size=``, as `get_per_element_mean_and_sum_sq_diff_grads` makes
    them. Per step ``average <- decay * average + (1 - decay) * new``, where the new variance is
    ``sum_sq_diff_grads / (sample_size - 1)``. Raises TypeError without them.

    Args:
      ema_decay: weight of the past, at least 0 and below 1.

    State: ``PerElementMeanAndVarianceEMAState(count, ema_decay, mean_grads_ema, variance_grads_ema)``.
    """

    def init(params: base.Params) -> PerElementMeanAndVarianceEMAState:
        zeros = tree_zeros_like(params)
        return PerElementMeanAndVarianceEMAState(jnp.int32(0), jnp.asarray(ema_decay), zeros, tree_zeros_like(params))

    def average(new: base.Updates, old: base.Updates) -> base.Updates:
        return jax.tree.map(lambda x, y: (1 - ema_decay) * x + ema_decay * y, new, old)

    def update(
        updates: base.Updates,
        state: PerElementMeanAndVarianceEMAState,
        params: base.Params | None = None,
        **extra_args: Any,
    ) -> tuple[base.Updates, PerElementMeanAndVarianceEMAState]:
        del params
        missing = [name for name in ("sum_sq_diff_grads", "sample_size") if name not in extra_args]
        if missing:
            raise TypeError(
                message(
                    f"track_per_element_mean_and_variance_with_ema needs {' and '.join(missing)} as extra arguments",
                    fix="put it into process(), behind get_per_element_mean_and_sum_sq_diff_grads",
                )
            )
        freedom = extra_args["sample_size"] - 1
        variance = jax.tree.map(lambda s: s / freedom, extra_args["sum_sq_diff_grads"])
        new_state = state._replace(
            count=safe_increment(state.count),
            mean_grads_ema=average(updates, state.mean_grads_ema),
            variance_grads_ema=average(variance, state.variance_grads_ema),
        )
        return updates, new_state

    return base.GradientTransformationExtraArgs(init, update)


def get_unbiased_mean_and_variance_ema(state: base.OptState) -> tuple[base.Updates, base.Updates]:
    """The moving averages of mean and variance in a state, freed of their start at zero.

    Args:
      state: a state that has a `PerElementMeanAndVarianceEMAState` somewhere, after one step at least.

    Raises:
      ValueError: it has none.
    """
    found = tree_get(state, "PerElementMeanAndVarianceEMAState")
    if found is None:
        raise ValueError(
            message(
                "the state must have a PerElementMeanAndVarianceEMAState, and has none",
                fix="make the optimizer with add_mean_variance_to_opt",
            )
        )
    # Not one minus a power, which cancels for a decay close to 1.
    weight = -jnp.expm1(found.count * jnp.log(found.ema_decay))

    def leaf(x: jax.Array) -> jax.Array:
        return x / weight.astype(x.dtype)

    return jax.tree.map(leaf, found.mean_grads_ema), jax.tree.map(leaf, found.variance_grads_ema)
