"""Optimizers around the transformations of `adaptive`, and the two that scale by trust ratio: lars and fromage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from optcc import base
from optcc.transforms.adam_variants import (
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_belief,
    scale_by_radam,
    scale_by_yogi,
)
from optcc.transforms.adaptive import scale_by_novograd, scale_by_optimistic_gradient, scale_by_rss
from optcc.transforms.combining import chain
from optcc.transforms.masking import masked
from optcc.transforms.moments import DType, trace
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate, scale_by_trust_ratio


def adabelief(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-16,
    eps_root: jax.typing.ArrayLike = 1e-16,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """AdaBelief: `scale_by_belief`, then minus the learning rate.

    State: ``(ScaleByBeliefState, EmptyState or ScaleByScheduleState)``. Source: Zhuang et al. 2020, algorithm 2.
    """
    return chain(scale_by_belief(b1, b2, eps, eps_root, nesterov=nesterov), scale_by_learning_rate(learning_rate))


def adagrad(
    learning_rate: base.ScalarOrSchedule,
    initial_accumulator_value: jax.typing.ArrayLike = 0.1,
    eps: jax.typing.ArrayLike = 1e-7,
) -> base.GradientTransformationExtraArgs:
    """AdaGrad: `scale_by_rss`, then minus the learning rate.

    State: ``(ScaleByRssState, EmptyState or ScaleByScheduleState)``. Source: Duchi et al. 2011.
    """
    return chain(scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate))


def adamax(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
) -> base.GradientTransformationExtraArgs:
    """AdaMax: `scale_by_adamax`, then minus the learning rate.

    State: ``(ScaleByAdamState, EmptyState or ScaleByScheduleState)``. Source: Kingma and Ba 2015, algorithm 2.
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def adamaxw(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule = 1e-4,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """AdaMax with decoupled weight decay, which the learning rate scales.

    ``u = -lr * (adamax(g) + weight_decay * p)``, the decay only for the leaves that ``mask`` selects. State:
    ``(ScaleByAdamState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source: Kingma and Ba 2015,
    algorithm 2; Loshchilov and Hutter 2019 for the decay.
    """
    return chain(
        scale_by_adamax(b1, b2, eps),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def amsgrad(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    bias_correction_mu: bool = True,
    bias_correction_nu: bool = True,
) -> base.GradientTransformationExtraArgs:
    """AMSGrad: `scale_by_amsgrad`, then minus the learning rate.

    State: ``(ScaleByAmsgradState, EmptyState or ScaleByScheduleState)``. Source: Reddi et al. 2018, algorithm 2.
    """
    return chain(
        scale_by_amsgrad(b1, b2, eps, eps_root, mu_dtype, bias_correction_mu, bias_correction_nu),
        scale_by_learning_rate(learning_rate),
    )


def yogi(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-3,
) -> base.GradientTransformationExtraArgs:
    """Yogi: `scale_by_yogi`, then minus the learning rate.

    State: ``(ScaleByAdamState, EmptyState or ScaleByScheduleState)``. Source: Zaheer et al. 2018, algorithm 2.
    """
    return chain(scale_by_yogi(b1, b2, eps), scale_by_learning_rate(learning_rate))


def radam(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    threshold: jax.typing.ArrayLike = 5.0,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Rectified Adam: `scale_by_radam`, then minus the learning rate.

    State: ``(ScaleByAdamState, EmptyState or ScaleByScheduleState)``. Source: Liu et al. 2020, algorithm 2.
    """
    return chain(
        scale_by_radam(b1, b2, eps, eps_root, threshold, nesterov=nesterov), scale_by_learning_rate(learning_rate)
    )


def novograd(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.25,
    eps: jax.typing.ArrayLike = 1e-6,
    eps_root: jax.typing.ArrayLike = 0.0,
    weight_decay: jax.typing.ArrayLike = 0.0,
) -> base.GradientTransformationExtraArgs:
    """NovoGrad: `scale_by_novograd`, then minus the learning rate.

    State: ``(ScaleByNovogradState, EmptyState or ScaleByScheduleState)``. Raises ValueError if ``update`` gets no
    parameters. Source: Ginsburg et al. 2019, algorithm 1.
    """
    return chain(scale_by_novograd(b1, b2, eps, eps_root, weight_decay), scale_by_learning_rate(learning_rate))


def optimistic_gradient_descent(
    learning_rate: base.ScalarOrSchedule, alpha: jax.typing.ArrayLike = 1.0, beta: jax.typing.ArrayLike = 1.0
) -> base.GradientTransformationExtraArgs:
    """Optimistic gradient descent: `scale_by_optimistic_gradient`, then minus the learning rate.

    State: ``(ScaleByOptimisticGradientState, EmptyState or ScaleByScheduleState)``. Source: Mokhtari et al. 2020.
    """
    return chain(scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate))


def fromage(
    learning_rate: base.ScalarOrSchedule, min_norm: jax.typing.ArrayLike = 1e-6
) -> base.GradientTransformationExtraArgs:
    """Fromage: steps of a size relative to each leaf's, then shrinking by what the step added.

    With ``c = 1 / sqrt(1 + lr**2)``, per leaf: ``u = -lr * c * g * |p| / |g| + (c - 1) * p``, both norms raised to
    ``min_norm``. State: ``(ScaleByTrustRatioState, EmptyState or ScaleByScheduleState, EmptyState or
    WeightDecaySchedule)``. Raises ValueError if ``update`` gets no parameters. Source: Bernstein et al. 2020,
    algorithm 1.
    """
    if not callable(learning_rate):
        return chain(
            scale_by_trust_ratio(min_norm),
            scale_by_learning_rate(learning_rate / _root(learning_rate)),
            add_decayed_weights(_shrinking(learning_rate)),
        )
    schedule: Callable[[base.Count], Any] = learning_rate
    return chain(
        scale_by_trust_ratio(min_norm),
        scale_by_learning_rate(lambda count: schedule(count) / _root(schedule(count))),
        add_decayed_weights(lambda count: _shrinking(schedule(count))),
    )


def _root(rate: Any) -> Any:
    return (1 + rate**2) ** 0.5


def _shrinking(rate: Any) -> Any:
    """``1 / _root(rate) - 1``, without the difference of nearly equal numbers that it is for a small rate."""
    root = _root(rate)
    return -(rate**2) / (root * (1 + root))


def lars(
    learning_rate: base.ScalarOrSchedule,
    weight_decay: base.ScalarOrSchedule = 0.0,
    weight_decay_mask: base.MaskOrFn = True,
    trust_coefficient: jax.typing.ArrayLike = 0.001,
    eps: jax.typing.ArrayLike = 0.0,
    trust_ratio_mask: base.MaskOrFn = True,
    momentum: jax.typing.ArrayLike = 0.9,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """LARS: weight decay, trust ratio, minus the learning rate, then `trace`.

    The masks select the leaves that are decayed and those that are scaled. State: ``(MaskedState, MaskedState,
    EmptyState or ScaleByScheduleState, TraceState)``. Raises ValueError if ``update`` gets no parameters. Source: You
    et al. 2017, algorithm 1.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )
