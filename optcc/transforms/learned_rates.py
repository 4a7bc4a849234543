"""AdamW with a learning rate that is estimated on the way: dadapt_adamw, prodigy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.step_scalars import constants, narrowest, value_at, wide

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class DAdaptAdamWState(NamedTuple):
    """The moments, the weighted sum of gradients, the estimate and its numerator, and the steps, a 0-d int32."""

    exp_avg: base.Updates
    exp_avg_sq: base.Updates
    grad_sum: base.Updates
    estim_lr: base.Number
    numerator_weighted: base.Number
    count: base.Count


class ProdigyState(NamedTuple):
    """As `DAdaptAdamWState`, with the first parameters."""

    exp_avg: base.Updates
    exp_avg_sq: base.Updates
    grad_sum: base.Updates
    params0: base.Updates
    estim_lr: base.Number
    numerator_weighted: base.Number
    count: base.Count


def _correction(b: Builder, beta1: Scalar, beta2: Scalar, count: Scalar) -> Scalar:
    """``sqrt(1 - beta2**t) / (1 - beta1**t)``: both bias corrections of Adam in one factor."""
    from optcc.formula.powers import one_minus_power

    return wide(b, b.sqrt(one_minus_power(b, beta2, count)) / one_minus_power(b, beta1, count))


def dadapt_adamw(
    learning_rate: base.ScalarOrSchedule = 1.0,
    betas: tuple[jax.typing.ArrayLike, jax.typing.ArrayLike] = (0.9, 0.999),
    eps: jax.typing.ArrayLike = 1e-8,
    estim_lr0: jax.typing.ArrayLike = 1e-6,
    weight_decay: jax.typing.ArrayLike = 0.0,
) -> base.GradientTransformationExtraArgs:
    """AdamW whose learning rate D-Adaptation estimates; ``learning_rate`` multiplies the estimate.

    At step t = 1, 2, ..., with c = sqrt(beta2), d the estimate, at first ``estim_lr0``, and ``w = d * learning_rate *
    sqrt(1 - beta2**t) / (1 - beta1**t)``; sums and products are over all leaves::

        r <- c * r + (1 - c) * w * sum(g * s / (sqrt(v) + eps))      with s and v of the step before
        m <- beta1 * m + (1 - beta1) * w * g
        v <- beta2 * v + (1 - beta2) * g**2
        s <- c * s + (1 - c) * w * g
        u  = -m / (sqrt(v) + eps) - weight_decay * w * p
        d <- max(d, r / ((1 - c) * sum(|s|)))

    State: ``DAdaptAdamWState(exp_avg, exp_avg_sq, grad_sum, estim_lr, numerator_weighted, count)``, which are m, v, s,
    d, r and t; d and r have the narrowest dtype of the parameters. Raises ValueError if ``update`` gets no parameters.
    Source: Defazio and Mishchenko 2023, algorithm 5.
    """
    beta1, beta2 = betas

    def init(b: Builder, params: Tree) -> DAdaptAdamWState:
        dtype = narrowest(params)
        m, v, s = (b.zeros_like(params) for _ in range(3))
        estimate = b.cast_scalar(b.hyper("estim_lr0", estim_lr0), dtype)
        return DAdaptAdamWState(m, v, s, estimate, b.number(0.0, dtype, weak=False), b.integer(0))

    def update(b: Builder, g: Tree, state: DAdaptAdamWState, params: Tree | None, **hypers: Scalar):
        params, count = b.require_params(params), b.increment(state.count)
        beta1, beta2, eps, decay = (hypers[name] for name in ("beta1", "beta2", "eps", "weight_decay"))
        rate = value_at(b, learning_rate, state.count, hypers.get("learning_rate"))
        c, d = b.sqrt(beta2), wide(b, state.estim_lr)
        w = d * rate * _correction(b, beta1, beta2, count)
        agreement = b.inner(g, state.grad_sum / (b.sqrt(b.real(state.exp_avg_sq)) + eps))
        r = c * wide(b, state.numerator_weighted) + (1 - c) * w * agreement
        m = beta1 * state.exp_avg + (1 - beta1) * w * g
        v = beta2 * b.real(state.exp_avg_sq) + (1 - beta2) * b.abs_sq(g)
        s = c * state.grad_sum + (1 - c) * w * g
        estimate = b.maximum(d, r / ((1 - c) * b.abs(s).sum()))
        u = -decay * w * params - m / (b.sqrt(v) + eps)
        return u, DAdaptAdamWState(m, v, s, estimate, r, count)

    hypers = {"beta1": beta1, "beta2": beta2, "eps": eps, "estim_lr0": estim_lr0, "weight_decay": weight_decay}
    return transformation("dadapt_adamw", init, update, **hypers, **constants(learning_rate=learning_rate))


def prodigy(
    learning_rate: base.ScalarOrSchedule = 1.0,
    betas: tuple[jax.typing.ArrayLike, jax.typing.ArrayLike] = (0.9, 0.999),
    beta3: jax.typing.ArrayLike | None = None,
    eps: jax.typing.ArrayLike = 1e-8,
    estim_lr0: jax.typing.ArrayLike = 1e-6,
    estim_lr_coef: jax.typing.ArrayLike = 1.0,
    weight_decay: jax.typing.ArrayLike = 0.0,
    safeguard_warmup: bool = False,
) -> base.GradientTransformationExtraArgs:
    """AdamW whose learning rate Prodigy estimates; ``learning_rate`` multiplies the estimate.

    At step t = 1, 2, ..., with d the estimate, at first d0 = ``estim_lr0``, p0 the first parameters, and ``w = d *
    learning_rate * sqrt(1 - beta2**t) / (1 - beta1**t)``; sums and products are over all leaves, ``beta3`` is
    ``sqrt(beta2)`` if not given, and h is w, or d under ``safeguard_warmup``::

        m <- beta1 * m + (1 - beta1) * d * g
        v <- beta2 * v + (1 - beta2) * (d * g)**2
        s <- beta3 * s + h * d * g / d0
        r <- beta3 * r + d / d0 * w * sum(g * (p0 - p))
        d <- max(d, estim_lr_coef * r / sum(|s|))
        u  = -w * m / (sqrt(v) + d * eps) - weight_decay * w * p      with the new d

    State: ``ProdigyState(exp_avg, exp_avg_sq, grad_sum, params0, estim_lr, numerator_weighted, count)``, which are m,
    v, s, p0, d, r and t; d and r have the narrowest dtype of the parameters. Raises ValueError if ``update`` gets no
    parameters. Source: Mishchenko and Defazio 2023, algorithm 4.
    """
    beta1, beta2 = betas

    def init(b: Builder, params: Tree) -> ProdigyState:
        dtype = narrowest(params)
        m, v, s = (b.zeros_like(params) for _ in range(3))
        estimate = b.cast_scalar(b.hyper("estim_lr0", estim_lr0), dtype)
        return ProdigyState(m, v, s, params, estimate, b.number(0.0, dtype, weak=False), b.integer(0))

    def update(b: Builder, g: Tree, state: ProdigyState, params: Tree | None, **hypers: Scalar):
        params, count = b.require_params(params), b.increment(state.count)
        beta1, beta2, eps, d0 = (hypers[name] for name in ("beta1", "beta2", "eps", "estim_lr0"))
        beta3 = hypers["beta3"] if "beta3" in hypers else b.sqrt(beta2)
        rate = value_at(b, learning_rate, state.count, hypers.get("learning_rate"))
        d = wide(b, state.estim_lr)
        w = d * rate * _correction(b, beta1, beta2, count)
        scaled = d * g
        m = beta1 * state.exp_avg + (1 - beta1) * scaled
        v = beta2 * b.real(state.exp_avg_sq) + (1 - beta2) * b.abs_sq(scaled)
        s = beta3 * state.grad_sum + (d if safeguard_warmup else w) * scaled / d0
        agreement = b.inner(g, state.params0 - params)
        r = beta3 * wide(b, state.numerator_weighted) + d / d0 * w * agreement
        estimate = b.maximum(d, hypers["estim_lr_coef"] * r / b.abs(s).sum())
        u = -hypers["weight_decay"] * w * params - w * m / (b.sqrt(v) + estimate * eps)
        return u, ProdigyState(m, v, s, state.params0, estimate, r, count)

    hypers = {"beta1": beta1, "beta2": beta2, "eps": eps, "estim_lr0": estim_lr0, "estim_lr_coef": estim_lr_coef}
    own = {} if beta3 is None else {"beta3": beta3}
    rates = constants(learning_rate=learning_rate)
    return transformation("prodigy", init, update, **hypers, **own, weight_decay=weight_decay, **rates)
