"""Adaptive step sizes of other families: adagrad, centred rmsprop, novograd; and the optimistic gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import OptState
from optcc.formula.definition import transformation
from optcc.transforms.moments import DType, canonical, update_moment, update_second_moment
from optcc.transforms.moments import bias_correction as debias

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByRssState(NamedTuple):
    """The sum of the squares of all updates so far."""

    sum_of_squares: base.Updates


class ScaleByRStdDevState(NamedTuple):
    """The first and the second moment."""

    mu: base.Updates
    nu: base.Updates


class ScaleByRStdDevWithCountState(NamedTuple):
    """The number of steps taken, a 0-d int32, and the two moments, where these are bias-corrected."""

    count: base.Count
    mu: base.Updates
    nu: base.Updates


class ScaleByNovogradState(NamedTuple):
    """The number of steps taken, a 0-d int32, the first moment, and a second moment of one number a leaf."""

    count: base.Count
    mu: base.Updates
    nu: base.Updates


class ScaleByOptimisticGradientState(NamedTuple):
    """Whether no step was taken yet, a 0-d bool, and the updates of the step before."""

    is_initial_step: Any
    previous_gradient: base.Updates


def scale_by_rss(
    initial_accumulator_value: jax.typing.ArrayLike = 0.1, eps: jax.typing.ArrayLike = 1e-7
) -> base.GradientTransformationExtraArgs:
    """Divide the updates by the root of the sum of all their squares so far.

    Per leaf: ``s <- g**2 + s``, from ``initial_accumulator_value``; ``u = g / sqrt(s + eps)``, or 0 where ``s`` is 0.
    State: ``ScaleByRssState(sum_of_squares)``. Source: Duchi et al. 2011, figure 1, with a diagonal matrix.
    """

    def init(b: Builder, params: Tree) -> ScaleByRssState:
        start = b.hyper("initial_accumulator_value", initial_accumulator_value)
        return ScaleByRssState(sum_of_squares=b.full_like(params, start))

    def update(b: Builder, g: Tree, state: ScaleByRssState, params: Tree | None, *, eps: Scalar, **_: Scalar):
        total = b.abs_sq(g) + b.real(state.sum_of_squares)
        factor = b.where(total > 0.0, b.rsqrt(total + eps), 0.0)
        return factor * g, ScaleByRssState(sum_of_squares=total)

    return transformation("scale_by_rss", init, update, initial_accumulator_value=initial_accumulator_value, eps=eps)


def scale_by_stddev(
    decay: jax.typing.ArrayLike = 0.9,
    eps: jax.typing.ArrayLike = 1e-8,
    initial_scale: jax.typing.ArrayLike = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Divide the updates by an estimate of their standard deviation: centred RMS.

    Per leaf, at step t = 1, 2, ...: ``mu <- (1 - decay) * g + decay * mu``; ``nu <- (1 - decay) * g**2 + decay * nu``,
    from ``initial_scale``; then ``u = g / sqrt(nu - mu**2 + eps)``, or ``u = g / (sqrt(nu - mu**2) + eps)`` if not
    ``eps_in_sqrt``, with both moments divided by ``1 - decay**t`` under ``bias_correction``. State:
    ``ScaleByRStdDevState(mu, nu)``, or ``ScaleByRStdDevWithCountState(count, mu, nu)`` under ``bias_correction``.
    Source: Graves 2013, equations 38 to 40.
    """
    corrected = bias_correction

    def init(b: Builder, params: Tree) -> ScaleByRStdDevState | ScaleByRStdDevWithCountState:
        mu, nu = b.zeros_like(params), b.full_like(params, b.hyper("initial_scale", initial_scale))
        return ScaleByRStdDevWithCountState(b.integer(0), mu, nu) if corrected else ScaleByRStdDevState(mu, nu)

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, *, decay: Scalar, eps: Scalar, **_: Scalar):
        mu = update_moment(g, state.mu, decay)
        nu = update_second_moment(b, g, state.nu, decay)
        mu_hat, nu_hat, new_state = mu, nu, ScaleByRStdDevState(mu, nu)
        if corrected:
            count = b.increment(state.count)
            mu_hat, nu_hat = debias(b, mu, decay, count), debias(b, nu, decay, count)
            new_state = ScaleByRStdDevWithCountState(count, mu, nu)
        variance = nu_hat - b.abs_sq(mu_hat)
        factor = b.rsqrt(variance + eps) if eps_in_sqrt else 1 / (b.sqrt(variance) + eps)
        return factor * g, new_state

    return transformation("scale_by_stddev", init, update, decay=decay, eps=eps, initial_scale=initial_scale)


def scale_by_novograd(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.25,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    weight_decay: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
) -> base.GradientTransformationExtraArgs:
    """Momentum over updates that are divided by the norm of their leaf.

    Per leaf, with ``nu`` one number for the whole leaf::

        nu <- (1 - b2) * |g|**2 + b2 * nu                                 at step 1: |g|**2
        mu <- b1 * mu + g / (sqrt(nu + eps_root) + eps) + weight_decay * p    at step 1 without b1 * mu
        u   = mu

    State: ``ScaleByNovogradState(count, mu, nu)``; ``mu``, and with it the updates, have the dtype ``mu_dtype`` if
    given. Raises ValueError if ``update`` gets no parameters. Source: Ginsburg et al. 2019, algorithm 1.
    """
    dtype = canonical(mu_dtype)

    def init(b: Builder, params: Tree) -> ScaleByNovogradState:
        return ScaleByNovogradState(
            count=b.integer(0), mu=b.zeros_like(params, dtype), nu=b.full_like(params, 0.0, extent=b.PER_LEAF)
        )

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByNovogradState,
        params: Tree | None,
        *,
        b1: Scalar,
        b2: Scalar,
        eps: Scalar,
        eps_root: Scalar,
        weight_decay: Scalar,
    ):
        count = b.increment(state.count)
        first = count.equals(1)
        squared_norm = b.abs_sq(g).sum_per_leaf()
        nu = b.where(first, squared_norm, update_moment(squared_norm, b.real(state.nu), b2))
        addition = g / (b.sqrt(nu + eps_root) + eps) + weight_decay * b.require_params(params)
        mu = b.cast(b.where(first, addition, b1 * state.mu + addition), dtype)
        return mu, ScaleByNovogradState(count, mu, nu)

    return transformation(
        "scale_by_novograd", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root, weight_decay=weight_decay
    )


def scale_by_optimistic_gradient(
    alpha: jax.typing.ArrayLike = 1.0, beta: jax.typing.ArrayLike = 1.0
) -> base.GradientTransformationExtraArgs:
    """Look ahead by what the updates changed since the step before.

    Per leaf: ``u = (alpha + beta) * g - beta * previous``, where ``previous`` is the update of the step before, at step
    1 ``g`` itself. State: ``ScaleByOptimisticGradientState(is_initial_step, previous_gradient)``. Source: Mokhtari et
    al. 2020, section 3.2.
    """

    def init(b: Builder, params: Tree) -> ScaleByOptimisticGradientState:
        return ScaleByOptimisticGradientState(b.number(1, bool, weak=False), b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByOptimisticGradientState,
        params: Tree | None,
        *,
        alpha: Scalar,
        beta: Scalar,
    ):
        previous = b.where(state.is_initial_step, g, state.previous_gradient)
        new = ScaleByOptimisticGradientState(b.number(0, bool, weak=False), g)
        return (alpha + beta) * g - beta * previous, new

    return transformation("scale_by_optimistic_gradient", init, update, alpha=alpha, beta=beta)
