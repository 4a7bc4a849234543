"""Adam with two first moments, a fast and a slow one: ademamix and its simplification."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType, bias_correction, canonical, update_moment, update_second_moment
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate
from optcc.transforms.step_scalars import constants, value_at

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByAdemamixState(NamedTuple):
    """The number of steps taken, twice, each a 0-d int32, the fast and the slow first moment, and the second one."""

    count: base.Count
    count_m2: base.Count
    m1: base.Updates
    m2: base.Updates
    nu: base.Updates


class ScaleBySimplifiedAdEMAMixState(NamedTuple):
    """The number of steps taken, a 0-d int32, the sum of gradients, and the second moment."""

    t: base.Count
    m: base.Updates
    n: base.Updates


def scale_by_ademamix(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    b3: base.ScalarOrSchedule = 0.9999,
    alpha: base.ScalarOrSchedule = 6.0,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
) -> base.GradientTransformationExtraArgs:
    """Add a slow first moment to Adam's.

    Per leaf, at step t = 1, 2, ..., with ``b3`` and ``alpha`` numbers or schedules of t - 1::

        m1 <- (1 - b1) * g + b1 * m1
        m2 <- (1 - b3) * g + b3 * m2
        nu <- (1 - b2) * g**2 + b2 * nu
        u   = (m1 / (1 - b1**t) + alpha * m2) / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

    State: ``ScaleByAdemamixState(count, count_m2, m1, m2, nu)``, the moments of ``mu_dtype`` if given. Source:
    Pagliardini et al. 2024, algorithm 1.
    """
    dtype = canonical(mu_dtype)

    def init(b: Builder, params: Tree) -> ScaleByAdemamixState:
        m1, m2, nu = (b.zeros_like(params, dtype) for _ in range(3))
        return ScaleByAdemamixState(b.integer(0), b.integer(0), m1, m2, nu)

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByAdemamixState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
        **given: Scalar,
    ):
        slow, share = (value_at(b, x, state.count_m2, given.get(name)) for name, x in (("b3", b3), ("alpha", alpha)))
        m1, m2 = update_moment(g, state.m1, b1), update_moment(g, state.m2, slow)
        nu = update_second_moment(b, g, state.nu, b2)
        count = b.increment(state.count)
        m1_hat, nu_hat = bias_correction(b, m1, b1, count), bias_correction(b, nu, b2, count)
        u = (m1_hat + share * m2) / (b.sqrt(nu_hat + eps_root) + eps)
        return u, ScaleByAdemamixState(count, b.increment(state.count_m2), m1, m2, nu)

    hypers = constants(b3=b3, alpha=alpha)
    return transformation("scale_by_ademamix", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root, **hypers)


def ademamix(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    b3: base.ScalarOrSchedule = 0.9999,
    alpha: base.ScalarOrSchedule = 5.0,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """AdEMAMix: `scale_by_ademamix`, weight decay, then minus the learning rate.

    State: ``(ScaleByAdemamixState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source:
    Pagliardini et al. 2024, algorithm 1.
    """
    return chain(
        scale_by_ademamix(b1, b2, b3, alpha, eps, eps_root, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def scale_by_simplified_ademamix(
    b1: jax.typing.ArrayLike = 0.99,
    b2: jax.typing.ArrayLike = 0.95,
    alpha: base.ScalarOrSchedule = 0.0,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
) -> base.GradientTransformationExtraArgs:
    """Add the gradient to its decaying sum, in place of a second moment of first order.

    Per leaf, at step t = 1, 2, ..., with ``alpha`` a number or a schedule of t - 1::

        m <- g + b1 * m
        n <- (1 - b2) * g**2 + b2 * n
        u  = (m + alpha * g) / (sqrt(n / (1 - b2**t) + eps_root) + eps)

    State: ``ScaleBySimplifiedAdEMAMixState(t, m, n)``. Source: Morwani et al. 2025, algorithm 1.
    """

    def init(b: Builder, params: Tree) -> ScaleBySimplifiedAdEMAMixState:
        return ScaleBySimplifiedAdEMAMixState(b.integer(0), b.zeros_like(params), b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleBySimplifiedAdEMAMixState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
        **given: Scalar,
    ):
        share = value_at(b, alpha, state.t, given.get("alpha"))
        m = g + b1 * state.m
        squared = b.abs_sq(g)
        n = squared + b2 * (b.real(state.n) - squared)
        t = b.increment(state.t)
        u = (m + share * g) / (b.sqrt(bias_correction(b, n, b2, t) + eps_root) + eps)
        return u, ScaleBySimplifiedAdEMAMixState(t, m, n)

    hypers = constants(alpha=alpha)
    name = "scale_by_simplified_ademamix"
    return transformation(name, init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root, **hypers)


def simplified_ademamix(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.99,
    b2: jax.typing.ArrayLike = 0.95,
    alpha: base.ScalarOrSchedule = 0.0,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """Simplified AdEMAMix: `scale_by_simplified_ademamix`, weight decay, then minus the learning rate.

    State: ``(ScaleBySimplifiedAdEMAMixState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source:
    Morwani et al. 2025, algorithm 1.
    """
    return chain(
        scale_by_simplified_ademamix(b1, b2, alpha, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )
