"""Adam's relatives that look ahead: nadam, adan, optimistic adam."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.errors import message
from optcc.formula.definition import transformation
from optcc.transforms.adaptive import scale_by_optimistic_gradient
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType, bias_correction, scale_by_adam, update_moment, update_second_moment
from optcc.transforms.optimizers import adam, adamw
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByAdanState(NamedTuple):
    """The moments of gradient, difference and their squared sum, the last gradient, and the steps, a 0-d int32."""

    m: base.Updates
    v: base.Updates
    n: base.Updates
    g: base.Updates
    t: base.Count


def nadam(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = True,
) -> base.GradientTransformationExtraArgs:
    """Adam with Nesterov momentum: `adam` with ``nesterov`` on. Source: Dozat 2016."""
    return adam(learning_rate, b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov)


def nadamw(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    weight_decay: base.ScalarOrSchedule = 1e-4,
    mask: base.MaskOrFn = None,
    *,
    nesterov: bool = True,
) -> base.GradientTransformationExtraArgs:
    """AdamW with Nesterov momentum: `adamw` with ``nesterov`` on. Source: Dozat 2016; Loshchilov and Hutter 2019."""
    return adamw(learning_rate, b1, b2, eps, eps_root, mu_dtype, weight_decay, mask, nesterov=nesterov)


def scale_by_adan(
    b1: jax.typing.ArrayLike = 0.98,
    b2: jax.typing.ArrayLike = 0.92,
    b3: jax.typing.ArrayLike = 0.99,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
) -> base.GradientTransformationExtraArgs:
    """Nesterov momentum estimated from the differences between gradients.

    Per leaf, at step t = 1, 2, ..., with d the difference from the gradient of the step before, 0 at step 1::

        m <- (1 - b1) * g + b1 * m
        v <- (1 - b2) * d + b2 * v
        n <- (1 - b3) * (g + (1 - b2) * d)**2 + b3 * n
        u  = (m / (1 - b1**t) + (1 - b2) * v / (1 - b2**t)) / (sqrt(n / (1 - b3**t) + eps_root) + eps)

    State: ``ScaleByAdanState(m, v, n, g, t)``. Source: Xie et al. 2022, algorithm 1, whose betas are one minus these.
    """

    def init(b: Builder, params: Tree) -> ScaleByAdanState:
        m, v, n, g = (b.zeros_like(params) for _ in range(4))
        return ScaleByAdanState(m, v, n, g, b.integer(0))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByAdanState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        b3: Scalar,
        eps: Scalar,
        eps_root: Scalar,
    ):
        difference = b.where(state.t.equals(0), 0.0, g - state.g)
        m = update_moment(g, state.m, b1)
        v = update_moment(difference, state.v, b2)
        n = update_second_moment(b, g + (1 - b2) * difference, state.n, b3)
        t = b.increment(state.t)
        ahead = bias_correction(b, m, b1, t) + (1 - b2) * bias_correction(b, v, b2, t)
        u = ahead / (b.sqrt(bias_correction(b, n, b3, t) + eps_root) + eps)
        return u, ScaleByAdanState(m, v, n, g, t)

    return transformation("scale_by_adan", init, update, b1=b1, b2=b2, b3=b3, eps=eps, eps_root=eps_root)


def adan(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.98,
    b2: jax.typing.ArrayLike = 0.92,
    b3: jax.typing.ArrayLike = 0.99,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """Adan: `scale_by_adan`, weight decay, then minus the learning rate.

    State: ``(ScaleByAdanState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source: Xie et al.
    2022, algorithm 1, but for the decay, which is that of `adamw`.
    """
    return chain(
        scale_by_adan(b1, b2, b3, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def optimistic_adam_v2(
    learning_rate: base.ScalarOrSchedule,
    *,
    alpha: jax.typing.ArrayLike = 1.0,
    beta: jax.typing.ArrayLike = 1.0,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    nesterov: bool = True,
) -> base.GradientTransformationExtraArgs:
    """Optimistic Adam: `scale_by_adam`, `scale_by_optimistic_gradient`, then minus the learning rate.

    State: ``(ScaleByAdamState, ScaleByOptimisticGradientState, EmptyState or ScaleByScheduleState)``. Source:
    Daskalakis et al. 2018, algorithm 1.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        scale_by_optimistic_gradient(alpha, beta),
        scale_by_learning_rate(learning_rate),
    )


def optimistic_adam(
    learning_rate: jax.typing.ArrayLike,
    optimism: jax.typing.ArrayLike | None = None,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = True,
) -> base.GradientTransformationExtraArgs:
    """Deprecated in favour of `optimistic_adam_v2`, with the learning rate as ``alpha`` and ``optimism`` as ``beta``.

    ``optimism`` is the learning rate if not given. Raises ValueError for a schedule.
    """
    text = "`optimistic_adam` is deprecated, use `optimistic_adam_v2` instead"
    warnings.warn(text, DeprecationWarning, stacklevel=2)
    if callable(learning_rate):
        what = "optimistic_adam takes no schedule as learning rate"
        raise ValueError(message(what, fix="use optimistic_adam_v2, which does"))
    return optimistic_adam_v2(
        1.0,
        alpha=learning_rate,
        beta=learning_rate if optimism is None else optimism,
        b1=b1,
        b2=b2,
        eps=eps,
        eps_root=eps_root,
        mu_dtype=mu_dtype,
        nesterov=nesterov,
    )
