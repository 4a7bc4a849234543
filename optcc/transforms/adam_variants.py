"""Adam with another second moment or another start: adabelief, yogi, amsgrad, radam, adamax."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.moments import DType, ScaleByAdamState, canonical, update_moment, update_second_moment
from optcc.transforms.moments import bias_correction as debias

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByBeliefState(NamedTuple):
    """The number of steps taken, a 0-d int32, the first moment, and the second moment of what it failed to predict."""

    count: base.Count
    mu: base.Updates
    nu: base.Updates


class ScaleByAmsgradState(NamedTuple):
    """The number of steps taken, a 0-d int32, the two moments, and the largest corrected second moment so far."""

    count: base.Count
    mu: base.Updates
    nu: base.Updates
    nu_max: base.Updates


def corrected_mean(b: Builder, g: Tree, mu: Tree, b1: Scalar, count: Scalar, *, nesterov: bool) -> Tree:
    """``mu / (1 - b1**t)``, or with ``nesterov`` ``b1 * mu / (1 - b1**(t + 1)) + (1 - b1) * g / (1 - b1**t)``."""
    if not nesterov:
        return debias(b, mu, b1, count)
    return b1 * debias(b, mu, b1, b.increment(count)) + (1 - b1) * debias(b, g, b1, count)


def scale_by_belief(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-16,
    eps_root: jax.typing.ArrayLike = 1e-16,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Divide the first moment by the root of the second moment of its prediction error.

    Per leaf, at step t = 1, 2, ...::

        mu <- (1 - b1) * g + b1 * mu
        nu <- (1 - b2) * (g - mu)**2 + b2 * nu + eps_root
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t)) + eps)

    The error is taken against the new ``mu``. With ``nesterov`` the numerator is
    ``b1 * mu / (1 - b1**(t + 1)) + (1 - b1) * g / (1 - b1**t)``. State: ``ScaleByBeliefState(count, mu, nu)``. Source:
    Zhuang et al. 2020, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> ScaleByBeliefState:
        return ScaleByBeliefState(count=b.integer(0), mu=b.zeros_like(params), nu=b.zeros_like(params))

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
        mu = update_moment(g, state.mu, b1)
        nu = update_second_moment(b, g - mu, state.nu, b2) + eps_root
        count = b.increment(state.count)
        mu_hat = corrected_mean(b, g, mu, b1, count, nesterov=nesterov)
        nu_hat = debias(b, nu, b2, count)
        return mu_hat / (b.sqrt(nu_hat) + eps), ScaleByBeliefState(count, mu, nu)

    return transformation("scale_by_belief", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root)


def scale_by_yogi(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-3,
    eps_root: jax.typing.ArrayLike = 0.0,
    initial_accumulator_value: jax.typing.ArrayLike = 1e-6,
) -> base.GradientTransformationExtraArgs:
    """Adam with a second moment that moves by a step of fixed sign towards the square of the update.

    Per leaf, at step t = 1, 2, ..., with both moments from ``initial_accumulator_value``::

        mu <- (1 - b1) * g + b1 * mu
        nu <- nu - (1 - b2) * sign(nu - g**2) * g**2
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

    State: ``ScaleByAdamState(count, mu, nu)``. Source: Zaheer et al. 2018, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> ScaleByAdamState:
        start = b.hyper("initial_accumulator_value", initial_accumulator_value)
        return ScaleByAdamState(count=b.integer(0), mu=b.full_like(params, start), nu=b.full_like(params, start))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByAdamState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
        **_: Scalar,
    ):
        mu = update_moment(g, state.mu, b1)
        squared, old = b.abs_sq(g), b.real(state.nu)
        nu = old - (1 - b2) * b.sign(old - squared) * squared
        count = b.increment(state.count)
        mu_hat, nu_hat = debias(b, mu, b1, count), debias(b, nu, b2, count)
        return mu_hat / (b.sqrt(nu_hat + eps_root) + eps), ScaleByAdamState(count, mu, nu)

    return transformation(
        "scale_by_yogi",
        init,
        update,
        b1=b1,
        b2=b2,
        eps=eps,
        eps_root=eps_root,
        initial_accumulator_value=initial_accumulator_value,
    )


def scale_by_amsgrad(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> base.GradientTransformationExtraArgs:
    """Adam whose divisor never becomes smaller.

    Per leaf, at step t = 1, 2, ...::

        mu     <- (1 - b1) * g + b1 * mu
        nu     <- (1 - b2) * g**2 + b2 * nu
        nu_max <- max(nu_max, nu / (1 - b2**t))
        u       = mu / (1 - b1**t) / (sqrt(nu_max + eps_root) + eps)

    Each bias correction can be left out. State: ``ScaleByAmsgradState(count, mu, nu, nu_max)``, ``mu`` of ``mu_dtype``
    if given. Source: Reddi et al. 2018, algorithm 2, which has no bias correction.
    """
    dtype = canonical(mu_dtype)

    def init(b: Builder, params: Tree) -> ScaleByAmsgradState:
        zeros = b.zeros_like(params)
        return ScaleByAmsgradState(count=b.integer(0), mu=b.zeros_like(params, dtype), nu=zeros, nu_max=zeros)

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByAmsgradState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
    ):
        mu = update_moment(g, state.mu, b1)
        nu = update_second_moment(b, g, state.nu, b2)
        count = b.increment(state.count)
        mu_hat = debias(b, mu, b1, count) if bias_correction_mu else mu
        nu_hat = debias(b, nu, b2, count) if bias_correction_nu else nu
        nu_max = b.maximum(b.real(state.nu_max), nu_hat)
        return mu_hat / (b.sqrt(nu_max + eps_root) + eps), ScaleByAmsgradState(count, mu, nu, nu_max)

    return transformation("scale_by_amsgrad", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root)


def scale_by_radam(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    threshold: jax.typing.ArrayLike = 5.0,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Adam that waits with the division until the variance of its divisor is small, and rectifies it.

    Per leaf, at step t = 1, 2, ..., with ``mu_hat`` and ``nu_hat`` the corrected moments of `scale_by_adam`::

        ro_inf = 2 / (1 - b2) - 1
        ro     = ro_inf - 2 * t * b2**t / (1 - b2**t)
        r      = sqrt((ro - 4) * (ro - 2) * ro_inf / ((ro_inf - 4) * (ro_inf - 2) * ro))
        u      = r * mu_hat / (sqrt(nu_hat + eps_root) + eps) if ro >= threshold else mu_hat

    State: ``ScaleByAdamState(count, mu, nu)``. The side that is not taken is finite, so that derivatives of early
    steps are, too. Source: Liu et al. 2020, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> ScaleByAdamState:
        return ScaleByAdamState(count=b.integer(0), mu=b.zeros_like(params), nu=b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByAdamState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
        threshold: Scalar,
    ):
        from optcc.formula.powers import average_length

        mu = update_moment(g, state.mu, b1)
        nu = update_second_moment(b, g, state.nu, b2)
        count = b.increment(state.count)
        ro_inf = 2.0 / (1.0 - b2) - 1.0
        ro = average_length(b, b2, count)
        # Lengths are below the count, also where float32 takes them for equal.
        taken = (ro >= threshold) & (count > threshold)
        mu_hat = corrected_mean(b, g, mu, b1, count, nesterov=nesterov)
        nu_hat = b.where(taken, debias(b, nu, b2, count), 1.0)
        safe_ro = b.where(taken, ro, ro_inf)
        squared = (safe_ro - 4.0) * (safe_ro - 2.0) / safe_ro * (ro_inf / ((ro_inf - 4.0) * (ro_inf - 2.0)))
        r = b.sqrt(b.where(taken, squared, 1.0))
        rectified = b.cast_like(r * mu_hat, mu_hat) / (b.sqrt(nu_hat + eps_root) + eps)
        return b.where(taken, rectified, mu_hat), ScaleByAdamState(count, mu, nu)

    return transformation("scale_by_radam", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root, threshold=threshold)


def scale_by_adamax(
    b1: jax.typing.ArrayLike = 0.9, b2: jax.typing.ArrayLike = 0.999, eps: jax.typing.ArrayLike = 1e-8
) -> base.GradientTransformationExtraArgs:
    """Divide the first moment by a decaying maximum of the updates' sizes.

    Per leaf, at step t = 1, 2, ...: ``mu <- (1 - b1) * g + b1 * mu``; ``nu <- max(|g| + eps, b2 * nu)``;
    ``u = mu / (1 - b1**t) / nu``. State: ``ScaleByAdamState(count, mu, nu)``. Source: Kingma and Ba 2015, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> ScaleByAdamState:
        return ScaleByAdamState(count=b.integer(0), mu=b.zeros_like(params), nu=b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByAdamState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
    ):
        count = b.increment(state.count)
        mu = update_moment(g, state.mu, b1)
        nu = b.maximum(b.abs(g) + eps, b2 * b.real(state.nu))
        return debias(b, mu, b1, count) / nu, ScaleByAdamState(count, mu, nu)

    return transformation("scale_by_adamax", init, update, b1=b1, b2=b2, eps=eps)
