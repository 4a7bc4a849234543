"""What uses the signs of gradients only: sign_sgd, signum, rprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import stateless, transformation
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType, ema
from optcc.transforms.scaling import scale, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByRpropState(NamedTuple):
    """The step size of each element, and the step kept for the next call, 0 where the sign changed."""

    step_sizes: base.Updates
    prev_updates: base.Updates


def scale_by_sign() -> base.GradientTransformationExtraArgs:
    """Replace every element by its sign: -1, 0 or 1. State: ``EmptyState()``. Source: Bernstein et al. 2018."""
    return stateless("scale_by_sign", lambda b, updates, params: b.sign(updates))


def sign_sgd(learning_rate: base.ScalarOrSchedule) -> base.GradientTransformationExtraArgs:
    """Sign descent: `scale_by_sign`, then minus the learning rate.

    State: ``(EmptyState, EmptyState or ScaleByScheduleState)``. Source: Bernstein et al. 2018, algorithm 1.
    """
    return chain(scale_by_sign(), scale_by_learning_rate(learning_rate))


def signum(
    learning_rate: base.ScalarOrSchedule, beta: jax.typing.ArrayLike = 0.9, accumulator_dtype: DType | None = None
) -> base.GradientTransformationExtraArgs:
    """Sign descent with momentum: the sign of an `ema`, not debiased, then minus the learning rate.

    State: ``(EmaState, EmptyState, EmptyState or ScaleByScheduleState)``. Source: Bernstein et al. 2018, algorithm 2.
    """
    return chain(ema(beta, False, accumulator_dtype), scale_by_sign(), scale_by_learning_rate(learning_rate))


def scale_by_rprop(
    learning_rate: jax.typing.ArrayLike,
    eta_minus: jax.typing.ArrayLike = 0.5,
    eta_plus: jax.typing.ArrayLike = 1.2,
    min_step_size: jax.typing.ArrayLike = 1e-6,
    max_step_size: jax.typing.ArrayLike = 50.0,
) -> base.GradientTransformationExtraArgs:
    """Steps of a size of their own for each element, which grows while the sign stays and shrinks when it changes.

    Per element, with s the step size, at first ``learning_rate``, and q the step kept, at first 0: where ``g * q`` is
    positive, s is multiplied by ``eta_plus``, where it is negative by ``eta_minus``, and clipped to
    ``[min_step_size, max_step_size]``. Then ``u = q`` and ``q <- s * sign(g)``, but both are 0 where ``g * q`` is
    negative. As in Optax the update is the step kept by the call before, and that of the first call is 0. State:
    ``ScaleByRpropState(step_sizes, prev_updates)``. Source: Riedmiller and Braun 1993; Igel and Huesken 2000,
    algorithm 4, for the zeros.
    """

    def init(b: Builder, params: Tree) -> ScaleByRpropState:
        return ScaleByRpropState(b.full_like(params, b.hyper("learning_rate", learning_rate)), b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByRpropState,
        params: Tree | None,
        *,
        eta_minus: Scalar,
        eta_plus: Scalar,
        min_step_size: Scalar,
        max_step_size: Scalar,
        **_: Scalar,
    ):
        agreement, old = g * state.prev_updates, state.step_sizes
        changed = b.where(agreement > 0.0, old * eta_plus, old * eta_minus)
        clipped = b.minimum(b.maximum(changed, min_step_size), max_step_size)
        step_sizes = b.where(agreement.equals(0.0), old, clipped)
        kept = b.where(agreement < 0.0, 0.0, step_sizes * b.sign(g))
        return b.where(agreement < 0.0, 0.0, state.prev_updates), ScaleByRpropState(step_sizes, kept)

    return transformation(
        "scale_by_rprop",
        init,
        update,
        learning_rate=learning_rate,
        eta_minus=eta_minus,
        eta_plus=eta_plus,
        min_step_size=min_step_size,
        max_step_size=max_step_size,
    )


def rprop(
    learning_rate: jax.typing.ArrayLike,
    eta_minus: jax.typing.ArrayLike = 0.5,
    eta_plus: jax.typing.ArrayLike = 1.2,
    min_step_size: jax.typing.ArrayLike = 1e-6,
    max_step_size: jax.typing.ArrayLike = 50.0,
) -> base.GradientTransformationExtraArgs:
    """Rprop: minus `scale_by_rprop`, for gradients of the whole data set.

    State: ``(ScaleByRpropState, EmptyState)``. Source: Riedmiller and Braun 1993.
    """
    return chain(scale_by_rprop(learning_rate, eta_minus, eta_plus, min_step_size, max_step_size), scale(-1.0))
