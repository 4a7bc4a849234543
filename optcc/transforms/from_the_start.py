"""Optimizers that remember where they started and set the parameters from there: cocob, madgrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.combining import chain
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate
from optcc.transforms.step_scalars import constants, value_at

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class COCOBState(NamedTuple):
    """The first parameters, minus the sum of the gradients, their largest size, the sum of sizes, and the reward."""

    init_particles: base.Updates
    cumulative_gradients: base.Updates
    scale: base.Updates
    subgradients: base.Updates
    reward: base.Updates


class MadgradState(NamedTuple):
    """The number of steps taken, a 0-d int32, the weighted sums of squares and of gradients, the first parameters."""

    count: base.Count
    grad_sum_sq: base.Updates
    s: base.Updates
    x0: base.Params


def scale_by_cocob(
    alpha: jax.typing.ArrayLike = 100.0, eps: jax.typing.ArrayLike = 1e-8
) -> base.GradientTransformationExtraArgs:
    """Bet on the sign of each gradient, without a learning rate.

    Per element, with p0 the parameter at the start, and L at first ``eps``::

        L <- max(L, |g|)
        G <- G + |g|
        R <- max(R - g * (p - p0), 0)
        C <- C - g
        u  = p0 + C / (L * max(G + L, alpha * L)) * (L + R) - p

    State: ``COCOBState(init_particles, cumulative_gradients, scale, subgradients, reward)``, which are p0, C, L, G and
    R. Raises ValueError if ``update`` gets no parameters. Source: Orabona and Tommasi 2017, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> COCOBState:
        zeros = [b.zeros_like(params) for _ in range(3)]
        smallest = b.full_like(params, b.hyper("eps", eps))
        return COCOBState(params, zeros[0], smallest, zeros[1], zeros[2])

    def update(b: Builder, g: Tree, state: COCOBState, params: Tree | None, *, alpha: Scalar, **_: Scalar):
        params, size = b.require_params(params), b.abs(g)
        start = state.init_particles
        largest = b.maximum(state.scale, size)
        total = state.subgradients + size
        reward = b.maximum(state.reward - g * (params - start), 0.0)
        bets = state.cumulative_gradients - g
        wager = bets / (largest * b.maximum(total + largest, alpha * largest)) * (largest + reward)
        return -params + (start + wager), COCOBState(start, bets, largest, total, reward)

    return transformation("scale_by_cocob", init, update, alpha=alpha, eps=eps)


def cocob(
    learning_rate: base.ScalarOrSchedule = 1.0,
    alpha: jax.typing.ArrayLike = 100.0,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """COCOB: weight decay and a factor for the gradient, then `scale_by_cocob`.

    State: ``(EmptyState or MaskedState, EmptyState or ScaleByScheduleState, COCOBState)``. Source: Orabona and Tommasi
    2017, algorithm 2.
    """
    return chain(
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate, flip_sign=False),
        scale_by_cocob(alpha, eps),
    )


def scale_by_madgrad(
    learning_rate: base.ScalarOrSchedule, momentum: jax.typing.ArrayLike = 0.9, eps: jax.typing.ArrayLike = 1e-6
) -> base.GradientTransformationExtraArgs:
    """Dual averaging with the cube root of the sum of squares, and an average of the iterates.

    Per leaf, at step t = 1, 2, ..., with p0 the parameter at the start and ``w = (learning_rate + eps) * sqrt(t)``::

        v <- v + w * g**2
        s <- s + w * g
        z  = p0 - s / (cbrt(v) + eps)
        u  = (1 - momentum) * (z - p)

    State: ``MadgradState(count, grad_sum_sq, s, x0)``, where v is ``grad_sum_sq`` and p0 is ``x0``. Raises ValueError
    if ``update`` gets no parameters. Source: Defazio and Jelassi 2021, algorithm 1.
    """

    def init(b: Builder, params: Tree) -> MadgradState:
        return MadgradState(b.integer(0), b.zeros_like(params), b.zeros_like(params), params)

    def update(
        b: Builder, g: Tree, state: MadgradState, params: Tree | None, *, momentum: Scalar, eps: Scalar, **given: Scalar
    ):
        from optcc.dtypes import default_float

        params, count = b.require_params(params), b.increment(state.count)
        rate = value_at(b, learning_rate, state.count, given.get("learning_rate"))
        weight = (rate + eps) * b.sqrt(b.cast_scalar(count, default_float(), weak=True))
        v = state.grad_sum_sq + b.cast_like(weight * b.square(g), g)
        s = state.s + b.cast_like(weight * g, g)
        z = state.x0 - s / (b.power(v, 1 / 3) + eps)
        return (1 - momentum) * (z - params), MadgradState(count, v, s, state.x0)

    hypers = constants(learning_rate=learning_rate)
    return transformation("scale_by_madgrad", init, update, momentum=momentum, eps=eps, **hypers)


def madgrad(
    learning_rate: base.ScalarOrSchedule,
    momentum: jax.typing.ArrayLike = 0.9,
    weight_decay: base.ScalarOrSchedule = 0.0,
    eps: jax.typing.ArrayLike = 1e-6,
) -> base.GradientTransformationExtraArgs:
    """MADGRAD: weight decay into the gradient, then `scale_by_madgrad`.

    State: ``(EmptyState or WeightDecaySchedule, MadgradState)``. Source: Defazio and Jelassi 2021, algorithm 1.
    """
    return chain(add_decayed_weights(weight_decay), scale_by_madgrad(learning_rate, momentum, eps))
