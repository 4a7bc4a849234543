"""Transformations that keep moments: trace, ema, adam, rms, lion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from optcc import base
from optcc.base import OptState
from optcc.errors import did_you_mean, message
from optcc.formula.definition import transformation

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

DType = Any


class TraceState(NamedTuple):
    """The decaying sum of the updates."""

    trace: base.Updates


class EmaState(NamedTuple):
    """The number of steps taken, a 0-d int32, and the moving average of the updates."""

    count: base.Count
    ema: base.Updates


class ScaleByAdamState(NamedTuple):
    """The number of steps taken, a 0-d int32, and the first and the second moment."""

    count: base.Count
    mu: base.Updates
    nu: base.Updates


class ScaleByRmsState(NamedTuple):
    """The second moment."""

    nu: base.Updates


class ScaleByRmsWithCountState(NamedTuple):
    """The number of steps taken, a 0-d int32, and the second moment, where the latter is bias-corrected."""

    count: base.Count
    nu: base.Updates


class ScaleByLionState(NamedTuple):
    """The number of steps taken, a 0-d int32, and the moment."""

    count: base.Count
    mu: base.Updates


def canonical(dtype: DType | None) -> np.dtype | None:
    """A dtype as JAX would store it (float64 only under x64), or None."""
    return None if dtype is None else np.dtype(jax.dtypes.canonicalize_dtype(dtype))


def update_moment(g: Tree, moment: Tree, decay: Scalar) -> Tree:
    """``(1 - decay) * g + decay * moment``."""
    return (1 - decay) * g + decay * moment


def update_second_moment(b: Builder, g: Tree, moment: Tree, decay: Scalar) -> Tree:
    """``(1 - decay) * |g|**2 + decay * moment``, where a moment of a complex dtype is real."""
    return update_moment(b.abs_sq(g), b.real(moment), decay)


def bias_correction(b: Builder, moment: Tree, decay: Scalar, count: Scalar) -> Tree:
    """``moment / (1 - decay**count)``, in the dtype of the moment."""
    from optcc.formula.powers import one_minus_power

    return b.cast_like(moment / one_minus_power(b, decay, count), moment)


def trace(
    decay: jax.typing.ArrayLike, nesterov: bool = False, accumulator_dtype: DType | None = None
) -> base.GradientTransformationExtraArgs:
    """Accumulate a decaying sum of the updates: momentum.

    Per leaf: ``t <- g + decay * t``; ``u = t``, or ``u = g + decay * t`` with ``nesterov``. State:
    ``TraceState(trace)``, of ``accumulator_dtype`` if given. Source: Sutskever et al. 2013, equations 1 to 4.
    """
    dtype = canonical(accumulator_dtype)

    def init(b: Builder, params: Tree) -> TraceState:
        return TraceState(trace=b.zeros_like(params, dtype))

    def update(b: Builder, g: Tree, state: TraceState, params: Tree | None, *, decay: Scalar):
        new = g + decay * state.trace
        return (g + decay * new if nesterov else new), TraceState(trace=new)

    return transformation("trace", init, update, decay=decay)


def ema(
    decay: jax.typing.ArrayLike, debias: bool = True, accumulator_dtype: DType | None = None
) -> base.GradientTransformationExtraArgs:
    """Replace the updates by their exponential moving average.

    Per leaf, at step t = 1, 2, ...: ``e <- (1 - decay) * g + decay * e``; ``u = e / (1 - decay**t)`` with ``debias``,
    else ``u = e``. State: ``EmaState(count, ema)``, ``ema`` of ``accumulator_dtype`` if given.
    """
    dtype = canonical(accumulator_dtype)

    def init(b: Builder, params: Tree) -> EmaState:
        return EmaState(count=b.integer(0), ema=b.zeros_like(params, dtype))

    def update(b: Builder, g: Tree, state: EmaState, params: Tree | None, *, decay: Scalar):
        new = update_moment(g, state.ema, decay)
        count = b.increment(state.count)
        return (bias_correction(b, new, decay, count) if debias else new), EmaState(count, new)

    return transformation("ema", init, update, decay=decay)


def scale_by_adam(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Divide the first moment by the root of the second.

    Per leaf, at step t = 1, 2, ...::

        mu <- (1 - b1) * g + b1 * mu
        nu <- (1 - b2) * g**2 + b2 * nu
        u   = mu / (1 - b1**t) / (sqrt(nu / (1 - b2**t) + eps_root) + eps)

    With ``nesterov`` the numerator is ``b1 * mu / (1 - b1**(t + 1)) + (1 - b1) * g / (1 - b1**t)``. State:
    ``ScaleByAdamState(count, mu, nu)``; ``mu`` and ``nu`` have the shapes of the leaves, ``mu`` the dtype ``mu_dtype``
    if given. Source: Kingma and Ba 2015, algorithm 1; Dozat 2016 for ``nesterov``.
    """
    dtype = canonical(mu_dtype)

    def init(b: Builder, params: Tree) -> ScaleByAdamState:
        return ScaleByAdamState(count=b.integer(0), mu=b.zeros_like(params, dtype), nu=b.zeros_like(params))

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
    ):
        mu = update_moment(g, state.mu, b1)
        nu = update_second_moment(b, g, state.nu, b2)
        count = b.increment(state.count)
        if nesterov:
            ahead = bias_correction(b, mu, b1, b.increment(count))
            mu_hat = b1 * ahead + (1 - b1) * bias_correction(b, g, b1, count)
        else:
            mu_hat = bias_correction(b, mu, b1, count)
        nu_hat = bias_correction(b, nu, b2, count)
        return mu_hat / (b.sqrt(nu_hat + eps_root) + eps), ScaleByAdamState(count, mu, nu)

    return transformation("scale_by_adam", init, update, b1=b1, b2=b2, eps=eps, eps_root=eps_root)


def scale_by_rms(
    decay: jax.typing.ArrayLike = 0.9,
    eps: jax.typing.ArrayLike = 1e-8,
    initial_scale: jax.typing.ArrayLike = 0.0,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Divide the updates by the root of their second moment.

    Per leaf, at step t = 1, 2, ...: ``nu <- (1 - decay) * g**2 + decay * nu``, from ``initial_scale``; then
    ``u = g / sqrt(nu + eps)``, or ``u = g / (sqrt(nu) + eps)`` if not ``eps_in_sqrt``, with ``nu / (1 - decay**t)`` for
    ``nu`` under ``bias_correction``. State: ``ScaleByRmsState(nu)``, or ``ScaleByRmsWithCountState(count, nu)`` under
    ``bias_correction``. Source: Tieleman and Hinton 2012.
    """
    corrected = bias_correction

    def init(b: Builder, params: Tree) -> ScaleByRmsState | ScaleByRmsWithCountState:
        nu = b.full_like(params, b.hyper("initial_scale", initial_scale))
        return ScaleByRmsWithCountState(b.integer(0), nu) if corrected else ScaleByRmsState(nu)

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, *, decay: Scalar, eps: Scalar, **_: Scalar):
        nu = update_second_moment(b, g, state.nu, decay)
        nu_hat, new_state = nu, ScaleByRmsState(nu)
        if corrected:
            count = b.increment(state.count)
            nu_hat = _bias_correction(b, nu, decay, count)
            new_state = ScaleByRmsWithCountState(count, nu)
        factor = b.rsqrt(nu_hat + eps) if eps_in_sqrt else 1 / (b.sqrt(nu_hat) + eps)
        return factor * g, new_state

    return transformation("scale_by_rms", init, update, decay=decay, eps=eps, initial_scale=initial_scale)


_bias_correction = bias_correction
"""`scale_by_rms` has an argument of that name."""

LionMode = Literal["hard", "smooth", "refined"]


def scale_by_lion(
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.99,
    mu_dtype: DType | None = None,
    *,
    mode: LionMode = "hard",
    smooth_beta: float = 1.0,
) -> base.GradientTransformationExtraArgs:
    """Take the sign of an interpolation between the update and its moment.

    Per leaf: ``c = (1 - b1) * g + b1 * mu``; ``mu <- (1 - b2) * g + b2 * mu``; ``u = sign(c)`` in the mode ``"hard"``,
    ``tanh(smooth_beta * c)`` in ``"smooth"``, and in ``"refined"`` ``c`` where ``|c| < 1``, else ``sign(c)``. State:
    ``ScaleByLionState(count, mu)``, ``mu`` of ``mu_dtype`` if given. Source: Chen et al. 2023, algorithm 2.

    Raises ValueError for another mode.
    """
    modes = ("hard", "smooth", "refined")
    if mode not in modes:
        raise ValueError(message(f"mode must be one of {modes}, got {mode!r}", fix=did_you_mean(str(mode), modes)))
    dtype = canonical(mu_dtype)

    def init(b: Builder, params: Tree) -> ScaleByLionState:
        return ScaleByLionState(count=b.integer(0), mu=b.zeros_like(params, dtype))

    def update(
        b: Builder, g: Tree, state: ScaleByLionState, params: Tree | None, *, b1: Scalar, b2: Scalar, **rest: Scalar
    ):
        c = (1 - b1) * g + b1 * state.mu
        if mode == "smooth":
            u = b.tanh(rest["smooth_beta"] * c)
        else:
            u = b.sign(c) if mode == "hard" else b.where(b.abs(c) < 1.0, c, b.sign(c))
        return u, ScaleByLionState(b.increment(state.count), update_moment(g, state.mu, b2))

    smooth = {"smooth_beta": smooth_beta} if mode == "smooth" else {}
    return transformation("scale_by_lion", init, update, b1=b1, b2=b2, **smooth)
