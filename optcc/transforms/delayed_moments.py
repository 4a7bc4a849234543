"""Divisions by the second moment of the step before: acprop, adopt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.adam_variants import ScaleByBeliefState
from optcc.transforms.combining import chain
from optcc.transforms.moments import (
    DType,
    ScaleByAdamState,
    bias_correction,
    canonical,
    update_moment,
    update_second_moment,
)
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


def scale_by_acprop(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-16,
    eps_root: jax.typing.ArrayLike = 1e-16,
) -> base.GradientTransformationExtraArgs:
    """Divide by the deviation from the first moment, both as they were a step before.

    Per leaf, at step t = 1, 2, ..., with the moments of the step before on the right::

        u   = g / (sqrt(nu / (1 - b2**(t - 1))) + eps)       at step 1: g / (1 + eps)
        nu <- (1 - b2) * (g - mu)**2 + b2 * nu + eps_root
        mu <- (1 - b1) * g + b1 * mu

    State: ``ScaleByBeliefState(count, mu, nu)``. Source: Zhuang et al. 2021, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> ScaleByBeliefState:
        return ScaleByBeliefState(b.integer(0), b.zeros_like(params), b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByBeliefState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
    ):
        first = state.count.equals(0)
        corrected = bias_correction(b, b.real(state.nu), b2, b.where(first, 1, state.count))
        u = g / (b.sqrt(b.where(first, 1.0, corrected)) + eps)
        nu = update_second_moment(b, g - state.mu, state.nu, b2) + eps_root
        return u, ScaleByBeliefState(b.increment(state.count), update_moment(g, state.mu, b1), nu)

    return transformation("scale_by_acprop", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root)


def acprop(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-16,
    eps_root: jax.typing.ArrayLike = 1e-16,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """ACProp: `scale_by_acprop`, weight decay, then minus the learning rate.

    State: ``(ScaleByBeliefState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source: Zhuang et
    al. 2021, algorithm 2.
    """
    return chain(
        scale_by_acprop(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def _fourth_root(count: jax.typing.ArrayLike) -> jax.Array:
    return jnp.asarray(count) ** 0.25


def scale_by_adopt(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.9999,
    eps: jax.typing.ArrayLike = 1e-6,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: base.Schedule = _fourth_root,
) -> base.GradientTransformationExtraArgs:
    """Momentum over gradients that are divided by the root of the second moment of the step before.

    Per leaf, at step t = 0, 1, ..., with the moments of the step before on the right::

        d   = g / max(sqrt(nu), eps), clipped to [-clip_value_fn(t), clip_value_fn(t)] with use_clipping
        mu <- (1 - b1) * d + b1 * mu                 at step 0: mu
        nu <- (1 - b2) * g**2 + b2 * nu              at step 0: g**2
        u   = mu, or (1 - b1) * d + b1 * mu with nesterov

    State: ``ScaleByAdamState(count, mu, nu)``, ``mu`` of ``mu_dtype`` if given. Source: Taniguchi et al. 2024,
    algorithm 2.
    """
    dtype = canonical(mu_dtype)

    def init(b: Builder, params: Tree) -> ScaleByAdamState:
        return ScaleByAdamState(b.integer(0), b.zeros_like(params, dtype), b.zeros_like(params))

    def update(
        b: Builder, g: Tree, state: ScaleByAdamState, params: Tree | None, *, b1: Scalar, b2: Scalar, eps: Scalar
    ):
        first = state.count.equals(0)
        direction = g / b.maximum(b.sqrt(b.real(state.nu)), eps)
        if use_clipping:
            limit = b.schedule(clip_value_fn, state.count)
            direction = b.minimum(b.maximum(direction, -limit), limit)
        mu = b.where(first, state.mu, update_moment(direction, state.mu, b1))
        u = b.where(first, mu, update_moment(direction, mu, b1)) if nesterov else mu
        squared = b.abs_sq(g)
        nu = b.where(first, squared, update_moment(squared, b.real(state.nu), b2))
        return u, ScaleByAdamState(b.increment(state.count), mu, nu)

    return transformation("scale_by_adopt", init, update, b1=b1, b2=b2, eps=eps)


def adopt(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.9999,
    eps: jax.typing.ArrayLike = 1e-6,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
    use_clipping: bool = True,
    clip_value_fn: base.Schedule = _fourth_root,
) -> base.GradientTransformationExtraArgs:
    """ADOPT: `scale_by_adopt`, then minus the learning rate.

    State: ``(ScaleByAdamState, EmptyState or ScaleByScheduleState)``. Source: Taniguchi et al. 2024, algorithm 2.
    """
    scaling = scale_by_adopt(
        b1, b2, eps, mu_dtype, nesterov=nesterov, use_clipping=use_clipping, clip_value_fn=clip_value_fn
    )
    return chain(scaling, scale_by_learning_rate(learning_rate))
