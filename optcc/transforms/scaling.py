"""Transformations without arrays in their state: identity, scale, clip, decay, trust ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import stateless, transformation
from optcc.transforms.masking import masked

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByScheduleState(NamedTuple):
    """The number of steps taken, a 0-d int32."""

    count: base.Count


class WeightDecaySchedule(NamedTuple):
    """The number of steps taken, a 0-d int32, for a weight decay that follows a schedule."""

    count: base.Count


class ScaleByTrustRatioState(NamedTuple):
    """No fields: the trust ratio keeps nothing."""


ScaleState = ClipState = ClipByGlobalNormState = AddDecayedWeightsState = base.EmptyState


def identity() -> base.GradientTransformationExtraArgs:
    """Pass the updates through. State: ``EmptyState()``."""
    return stateless("identity", lambda b, updates, params: updates, passes_through=True)


def scale(step_size: jax.typing.ArrayLike) -> base.GradientTransformationExtraArgs:
    """Multiply the updates by a number: ``u = step_size * g``. State: ``EmptyState()``."""

    def update(b: Builder, g: Tree, params: Tree | None, *, step_size: Scalar) -> Tree:
        return step_size * g

    return stateless("scale", update, step_size=step_size)


def scale_by_schedule(step_size_fn: base.Schedule) -> base.GradientTransformationExtraArgs:
    """Multiply the updates by a schedule's value, rounded to the dtype of each leaf.

    At step t = 0, 1, ... ``u = step_size_fn(t) * g``. State: ``ScaleByScheduleState(count)``.
    """

    def init(b: Builder, params: Tree) -> ScaleByScheduleState:
        return ScaleByScheduleState(count=b.integer(0))

    def update(b: Builder, g: Tree, state: ScaleByScheduleState, params: Tree | None):
        step_size = b.schedule(step_size_fn, state.count)
        return b.cast_like(step_size * g, g), ScaleByScheduleState(b.increment(state.count))

    return transformation("scale_by_schedule", init, update)


def scale_by_learning_rate(
    learning_rate: base.ScalarOrSchedule | None = None, *, flip_sign: bool = True
) -> base.GradientTransformationExtraArgs:
    """Multiply by minus the learning rate, a number or a schedule; None leaves the updates as they are.

    ``u = -learning_rate * g``, without the minus if not ``flip_sign``. State: ``EmptyState()``, or
    ``ScaleByScheduleState(count)`` with a schedule.
    """
    if learning_rate is None:
        return identity()
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        schedule = learning_rate
        return scale_by_schedule(lambda count: sign * schedule(count))

    def update(b: Builder, g: Tree, params: Tree | None, *, learning_rate: Scalar) -> Tree:
        return (sign * learning_rate) * g

    return stateless("scale_by_learning_rate", update, learning_rate=learning_rate)


def clip(max_delta: jax.typing.ArrayLike) -> base.GradientTransformationExtraArgs:
    """Clip every element to ``[-max_delta, max_delta]``. State: ``EmptyState()``."""

    def update(b: Builder, g: Tree, params: Tree | None, *, max_delta: Scalar) -> Tree:
        return b.cast_like(b.minimum(b.maximum(g, -max_delta), max_delta), g)

    return stateless("clip", update, max_delta=max_delta)


def clip_by_global_norm(max_norm: jax.typing.ArrayLike) -> base.GradientTransformationExtraArgs:
    """Scale the updates down so that their global norm is at most ``max_norm``.

    With n the Euclidean norm of all elements together: ``u = g`` if ``n < max_norm``, else ``g / n * max_norm``, which
    is 0 for ``max_norm = 0``. State: ``EmptyState()``. Source: Pascanu et al. 2013, algorithm 1.
    """

    def update(b: Builder, g: Tree, params: Tree | None, *, max_norm: Scalar) -> Tree:
        norm = b.global_norm(g)
        divisor = b.where(norm.equals(0.0), 1.0, norm)
        return b.where(norm < max_norm, g, (g / divisor) * max_norm)

    return stateless("clip_by_global_norm", update, max_norm=max_norm)


def add_decayed_weights(
    weight_decay: base.ScalarOrSchedule = 0.0, mask: base.MaskOrFn = None
) -> base.GradientTransformationExtraArgs:
    """Add the decayed parameters: ``u = g + weight_decay * p``, for the leaves that the mask selects.

    A Python 0 leaves the updates untouched. State: ``EmptyState()``; with a schedule ``WeightDecaySchedule(count)``;
    with a mask ``MaskedState`` around it. Raises ValueError if ``update`` gets no parameters. Source: Loshchilov and
    Hutter 2019, algorithm 2.
    """
    tx = _add_scheduled_decay(weight_decay) if callable(weight_decay) else _add_constant_decay(weight_decay)
    return tx if mask is None else masked(tx, mask)


def _add_constant_decay(weight_decay: jax.typing.ArrayLike) -> base.GradientTransformationExtraArgs:
    if isinstance(weight_decay, int | float) and weight_decay == 0:

        def untouched(b: Builder, g: Tree, params: Tree | None) -> Tree:
            b.require_params(params)
            return g

        return stateless("add_decayed_weights", untouched)

    def update(b: Builder, g: Tree, params: Tree | None, *, weight_decay: Scalar) -> Tree:
        return g + weight_decay * b.require_params(params)

    return stateless("add_decayed_weights", update, weight_decay=weight_decay)


def _add_scheduled_decay(weight_decay: base.Schedule) -> base.GradientTransformationExtraArgs:
    def init(b: Builder, params: Tree) -> WeightDecaySchedule:
        return WeightDecaySchedule(count=b.integer(0))

    def update(b: Builder, g: Tree, state: WeightDecaySchedule, params: Tree | None):
        decay = b.schedule(weight_decay, state.count)
        return g + decay * b.require_params(params), WeightDecaySchedule(b.increment(state.count))

    return transformation("add_decayed_weights", init, update)


def scale_by_trust_ratio(
    min_norm: jax.typing.ArrayLike = 0.0, trust_coefficient: jax.typing.ArrayLike = 1.0, eps: jax.typing.ArrayLike = 0.0
) -> base.GradientTransformationExtraArgs:
    """Scale each leaf's update by the trust ratio, norm(parameter) / norm(update).

    With both norms raised to ``min_norm``, per leaf: ``u = g * trust_coefficient * |p| / (|g| + eps)``, or ``u = g``
    where either norm is zero. State: ``ScaleByTrustRatioState()``. Raises ValueError if ``update`` gets no parameters.
    Source: You et al. 2020, equation 3.
    """

    def update(
        b: Builder, g: Tree, params: Tree | None, *, min_norm: Scalar, trust_coefficient: Scalar, eps: Scalar
    ) -> Tree:
        def safe_norm(x: Tree) -> Tree:
            norm = b.norm_per_leaf(x)
            return b.where(norm <= min_norm, min_norm, norm)

        param_norm, update_norm = safe_norm(b.require_params(params)), safe_norm(g)
        ratio = trust_coefficient * param_norm / (update_norm + eps)
        is_zero = param_norm.equals(0.0) | update_norm.equals(0.0)
        return g * b.where(is_zero, 1.0, ratio)

    return stateless(
        "scale_by_trust_ratio",
        update,
        ScaleByTrustRatioState,
        min_norm=min_norm,
        trust_coefficient=trust_coefficient,
        eps=eps,
    )
