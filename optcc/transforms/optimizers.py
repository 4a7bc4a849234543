"""Optimizers: chains of transformations that end in the learning rate."""

from __future__ import annotations

import jax

from optcc import base
from optcc.transforms.adaptive import scale_by_stddev
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType, scale_by_adam, scale_by_lion, scale_by_rms, trace
from optcc.transforms.scaling import add_decayed_weights, identity, scale_by_learning_rate, scale_by_trust_ratio


def sgd(
    learning_rate: base.ScalarOrSchedule,
    momentum: jax.typing.ArrayLike | None = None,
    nesterov: bool = False,
    accumulator_dtype: DType | None = None,
) -> base.GradientTransformationExtraArgs:
    """Stochastic gradient descent: ``u = -lr * g``, with `trace` before the learning rate if ``momentum`` is given.

    State: ``(TraceState or EmptyState, EmptyState or ScaleByScheduleState)``. Source: Sutskever et al. 2013.
    """
    first = identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype)
    return chain(first, scale_by_learning_rate(learning_rate))


def adam(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Adam: `scale_by_adam`, then minus the learning rate.

    State: ``(ScaleByAdamState, EmptyState or ScaleByScheduleState)``. Source: Kingma and Ba 2015, algorithm 1.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov), scale_by_learning_rate(learning_rate)
    )


def adamw(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    eps_root: jax.typing.ArrayLike = 0.0,
    mu_dtype: DType | None = None,
    weight_decay: base.ScalarOrSchedule = 1e-4,
    mask: base.MaskOrFn = None,
    *,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay, which the learning rate scales.

    ``u = -lr * (adam(g) + weight_decay * p)``, the decay only for the leaves that ``mask`` selects. State:
    ``(ScaleByAdamState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source: Loshchilov and
    Hutter 2019, algorithm 2.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def lion(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.99,
    mu_dtype: DType | None = None,
    weight_decay: base.ScalarOrSchedule = 1e-3,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """Lion: the sign of an interpolated moment, with decoupled weight decay.

    State: ``(ScaleByLionState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source: Chen et al.
    2023, algorithm 2.
    """
    return chain(
        scale_by_lion(b1, b2, mu_dtype),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def rmsprop(
    learning_rate: base.ScalarOrSchedule,
    decay: jax.typing.ArrayLike = 0.9,
    eps: jax.typing.ArrayLike = 1e-8,
    initial_scale: jax.typing.ArrayLike = 0.0,
    centered: bool = False,
    momentum: jax.typing.ArrayLike | None = None,
    nesterov: bool = False,
    *,
    eps_in_sqrt: bool = True,
    bias_correction: bool = False,
) -> base.GradientTransformationExtraArgs:
    """RMSProp: `scale_by_rms`, minus the learning rate, then `trace` if ``momentum`` is given.

    With ``centered`` `scale_by_stddev` in place of `scale_by_rms`. State: ``(ScaleByRmsState or ScaleByRStdDevState,
    EmptyState or ScaleByScheduleState, TraceState or EmptyState)``. Source: Tieleman and Hinton 2012; Graves 2013 for
    ``centered``.
    """
    first = scale_by_stddev if centered else scale_by_rms
    last = identity() if momentum is None else trace(momentum, nesterov)
    return chain(
        first(decay, eps, initial_scale, eps_in_sqrt, bias_correction),
        scale_by_learning_rate(learning_rate),
        last,
    )


def lamb(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-6,
    eps_root: jax.typing.ArrayLike = 0.0,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """LAMB: Adam with weight decay, each leaf scaled by its trust ratio.

    State: ``(ScaleByAdamState, EmptyState or MaskedState, ScaleByTrustRatioState, EmptyState or
    ScaleByScheduleState)``. Source: You et al. 2020, algorithm 2.
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )
