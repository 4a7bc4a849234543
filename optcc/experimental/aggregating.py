"""Transformations that take gradients of single examples and return one update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from optcc import base
from optcc.errors import message
from optcc.experimental import gradient_statistics as statistics
from optcc.experimental.gradient_statistics import AccumulateAvgUpdatesState as AccumulateAvgUpdatesState
from optcc.experimental.gradient_statistics import (
    PerElementMeanAndSumSqDiffGradsState as PerElementMeanAndSumSqDiffGradsState,
)
from optcc.experimental.gradient_statistics import (
    PerElementMeanAndVarianceEMAState as PerElementMeanAndVarianceEMAState,
)
from optcc.experimental.gradient_statistics import (
    get_batch_size_from_per_elt_updates as get_batch_size_from_per_elt_updates,
)
from optcc.experimental.gradient_statistics import (
    get_unbiased_mean_and_variance_ema as get_unbiased_mean_and_variance_ema,
)
from optcc.experimental.gradient_statistics import (
    track_per_element_mean_and_variance_with_ema as track_per_element_mean_and_variance_with_ema,
)
from optcc.tree_utils.filling import tree_zeros_like
from optcc.tree_utils.lookup import tree_get

PerElementUpdates: TypeAlias = base.PyTree
"""A tree of gradients with an axis, or several, of single examples."""
AggregatedUpdates: TypeAlias = base.PyTree
"""A tree of updates with the structure and shapes of the parameters."""
MaybeAxis: TypeAlias = int | Sequence[int] | None
"""The axes of single examples; None if there are none."""


class AggregatorUpdateFn(Protocol):
    """Makes one update of those of single examples, as `Aggregator.update`."""

    def __call__(
        self,
        per_elt_updates: PerElementUpdates,
        state: base.OptState,
        params: base.Params | None = None,
        **extra_args: Any,
    ) -> tuple[AggregatedUpdates, base.OptState]: ...


class Aggregator(base.GradientTransformationExtraArgs):
    """A gradient transformation whose update takes gradients of single examples and returns one update."""


def process(
    preprocessor: base.GradientTransformation,
    aggregator: base.GradientTransformation | Aggregator,
    postprocessor: base.GradientTransformation,
    aggregator_has_aux: bool = False,
) -> base.GradientTransformationExtraArgs | Aggregator:
    """Change gradients of single examples, make one of them, and go on with that.

    Args:
      preprocessor: transformation of the gradients of single examples. It is not given the parameters, whose shapes are
        others.
      aggregator: makes one update of them. If its state has an entry ``ready`` that is false, the step ends here: the
        updates are zeros, and the state of the postprocessor stays.
      postprocessor: transformation of the one update, such as an optimizer.
      aggregator_has_aux: whether the aggregator's update is a pair of the update and a dict, which then goes to the
        postprocessor as extra arguments.

    Returns:
      An `Aggregator` if ``aggregator`` is one.

    State: a tuple of the three states.
    """
    first, last = base.with_extra_args_support(preprocessor), base.with_extra_args_support(postprocessor)
    middle = base.with_extra_args_support(aggregator)

    def init(params: base.Params) -> tuple[base.OptState, base.OptState, base.OptState]:
        return first.init(params), middle.init(params), last.init(params)

    def update(
        updates: base.Updates, state: tuple[Any, Any, Any], params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, tuple[Any, Any, Any]]:
        first_state, middle_state, last_state = state
        updates, first_state = first.update(updates, first_state, **extra_args)
        updates, middle_state = middle.update(updates, middle_state, params, **extra_args)
        if aggregator_has_aux:
            updates, aux = updates
            extra_args = {**extra_args, **aux}

        def go_on() -> tuple[base.Updates, base.OptState]:
            return last.update(updates, last_state, params, **extra_args)

        ready = tree_get(middle_state, "ready")
        if ready is None:
            updates, last_state = go_on()
        else:
            updates, last_state = lax.cond(ready, go_on, lambda: (tree_zeros_like(updates), last_state))
        return updates, (first_state, middle_state, last_state)

    return (Aggregator if isinstance(aggregator, Aggregator) else base.GradientTransformationExtraArgs)(init, update)


def average_per_element_updates(per_elt_axis: int | Sequence[int] = 0) -> Aggregator:
    """The mean over single examples; ``per_elt_axis`` are their axes. State: ``EmptyState()``."""
    axis = per_elt_axis if isinstance(per_elt_axis, int) else tuple(per_elt_axis)

    def update(
        updates: base.Updates, state: base.EmptyState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, base.EmptyState]:
        del params, extra_args
        return jax.tree.map(lambda g: jnp.mean(g, axis=axis), updates), state

    return Aggregator(base.init_empty_state, update)


def accumulate_avg_updates(accumulation_steps: int) -> base.GradientTransformationExtraArgs:
    """The mean of the updates of some calls, returned with the last of them; zeros before that.

    Args:
      accumulation_steps: the number of calls; with 1 the updates pass through, and the state is ``EmptyState()``.

    State: ``AccumulateAvgUpdatesState(micro_step, ready, avg_grad)``.

    Raises:
      ValueError: it is less than 1.
    """
    if accumulation_steps < 1:
        raise ValueError(message(f"accumulation_steps must be 1 or more, got {accumulation_steps}", fix="use 1"))

    def pass_on(
        updates: base.Updates, state: base.EmptyState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, base.EmptyState]:
        return updates, state

    if accumulation_steps == 1:
        return base.GradientTransformationExtraArgs(base.init_empty_state, pass_on)

    def init(params: base.Params) -> AccumulateAvgUpdatesState:
        return AccumulateAvgUpdatesState(jnp.int32(0), jnp.asarray(False), tree_zeros_like(params))

    def update(
        updates: base.Updates, state: AccumulateAvgUpdatesState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, AccumulateAvgUpdatesState]:
        del params, extra_args
        count = state.micro_step + 1
        mean = statistics.merged_mean(state.avg_grad, updates, count)
        new_state, result = statistics.accumulate(state, {"avg_grad": mean}, count == accumulation_steps)
        return result["avg_grad"], new_state

    return base.GradientTransformationExtraArgs(init, update)


def average_incrementally_updates(
    per_elt_axis: MaybeAxis, accumulation_steps: int
) -> Aggregator | base.GradientTransformationExtraArgs:
    """The mean over single examples, then over calls.

    Args:
      per_elt_axis: the axes of the examples; None if the updates have none, in which case this is
        `accumulate_avg_updates`.
      accumulation_steps: the number of calls, 1 or more.

    State: a tuple of the states of `average_per_element_updates` and `accumulate_avg_updates`.
    """
    over_calls = accumulate_avg_updates(accumulation_steps)
    if per_elt_axis is None:
        return over_calls
    both = _in_sequence(average_per_element_updates(per_elt_axis), over_calls)
    return Aggregator(both.init, both.update)


def get_per_element_mean_and_sum_sq_diff_grads(
    per_elt_axis: int | Sequence[int] = 0, accumulation_steps: int = 1
) -> Aggregator:
    """The mean over single examples, and beside it the sum of their squared deviations from it.

    ``update`` returns a pair in place of the update: the mean, and a dict with ``sum_sq_diff_grads``, a tree like it,
    and ``sample_size``, the number of examples. It is for `process` with ``aggregator_has_aux=True``.

    Args:
      per_elt_axis: the axes of the examples.
      accumulation_steps: the number of calls whose examples count together; before the last all results are zeros.

    State: ``EmptyState()`` for one call, else ``PerElementMeanAndSumSqDiffGradsState(micro_step, ready, mean_grads,
    sum_sq_diff_grads)``.
    """

    def of_batch(
        updates: base.Updates, state: base.EmptyState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[Any, base.EmptyState]:
        del params, extra_args
        mean, squares = statistics.mean_and_squared_deviations(updates, per_elt_axis)
        size = get_batch_size_from_per_elt_updates(updates, per_elt_axis)
        return (mean, {"sum_sq_diff_grads": squares, "sample_size": size}), state

    if accumulation_steps == 1:
        return Aggregator(base.init_empty_state, of_batch)

    def init(params: base.Params) -> PerElementMeanAndSumSqDiffGradsState:
        zeros = tree_zeros_like(params)
        return PerElementMeanAndSumSqDiffGradsState(jnp.int32(0), jnp.asarray(False), zeros, tree_zeros_like(params))

    def update(
        updates: base.Updates,
        state: PerElementMeanAndSumSqDiffGradsState,
        params: base.Params | None = None,
        **extra_args: Any,
    ) -> tuple[Any, PerElementMeanAndSumSqDiffGradsState]:
        del params, extra_args
        mean, squares = statistics.mean_and_squared_deviations(updates, per_elt_axis)
        size = get_batch_size_from_per_elt_updates(updates, per_elt_axis)
        count = state.micro_step + 1
        new = {
            "mean_grads": statistics.merged_mean(state.mean_grads, mean, count),
            "sum_sq_diff_grads": statistics.merged_squares(state, mean, squares, size),
        }
        new_state, result = statistics.accumulate(state, new, count == accumulation_steps)
        aux = {
            "sum_sq_diff_grads": result["sum_sq_diff_grads"],
            "sample_size": jnp.where(new_state.ready, size * count, 0),
        }
        return (result["mean_grads"], aux), new_state

    return Aggregator(init, update)


def add_mean_variance_to_opt(
    opt: base.GradientTransformation,
    ema_decay: ArrayLike = 0.9,
    per_elt_axis: int | Sequence[int] = 0,
    accumulation_steps: int = 1,
) -> base.GradientTransformationExtraArgs | Aggregator:
    """An optimizer that takes gradients of single examples and keeps moving averages of their mean and variance.

    `get_unbiased_mean_and_variance_ema` reads them from the state.

    Args:
      opt: the optimizer, which gets the mean over examples.
      ema_decay: weight of the past in the averages.
      per_elt_axis: the axes of the examples.
      accumulation_steps: the number of calls that make one step.
    """

    def pass_on(
        updates: base.Updates, state: base.EmptyState, params: base.Params | None = None
    ) -> tuple[base.Updates, base.EmptyState]:
        return updates, state

    return process(
        base.GradientTransformation(base.init_empty_state, pass_on),
        get_per_element_mean_and_sum_sq_diff_grads(per_elt_axis, accumulation_steps),
        _in_sequence(track_per_element_mean_and_variance_with_ema(ema_decay), opt),
        aggregator_has_aux=True,
    )


def _in_sequence(
    first: base.GradientTransformation, second: base.GradientTransformation
) -> base.GradientTransformationExtraArgs:
    """One transformation after the other, outside of the compiler: they need not keep the shapes of the updates."""
    stages = (base.with_extra_args_support(first), base.with_extra_args_support(second))

    def init(params: base.Params) -> tuple[base.OptState, ...]:
        return tuple(stage.init(params) for stage in stages)

    def update(
        updates: base.Updates, state: tuple[base.OptState, ...], params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, tuple[base.OptState, ...]]:
        new: list[base.OptState] = []
        for stage, old in zip(stages, state, strict=True):
            updates, stage_state = stage.update(updates, old, params, **extra_args)
            new.append(stage_state)
        return updates, tuple(new)

    return base.GradientTransformationExtraArgs(init, update)
