"""Adadelta: step sizes from the sizes of earlier updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.combining import chain
from optcc.transforms.moments import update_second_moment
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScaleByAdaDeltaState(NamedTuple):
    """The second moment of the gradients, and that of the updates."""

    e_g: base.Updates
    e_x: base.Updates


def scale_by_adadelta(
    rho: jax.typing.ArrayLike = 0.9, eps: jax.typing.ArrayLike = 1e-6
) -> base.GradientTransformationExtraArgs:
    """Divide the gradient by its root mean square, and multiply it by that of the updates so far.

    Per leaf::

        e_g <- (1 - rho) * g**2 + rho * e_g
        u    = sqrt(e_x + eps) / sqrt(e_g + eps) * g
        e_x <- (1 - rho) * u**2 + rho * e_x

    State: ``ScaleByAdaDeltaState(e_g, e_x)``. Source: Zeiler 2012, algorithm 1.
    """

    def init(b: Builder, params: Tree) -> ScaleByAdaDeltaState:
        return ScaleByAdaDeltaState(e_g=b.zeros_like(params), e_x=b.zeros_like(params))

    def update(b: Builder, g: Tree, state: ScaleByAdaDeltaState, params: Tree | None, *, rho: Scalar, eps: Scalar):
        e_g, e_x = update_second_moment(b, g, state.e_g, rho), b.real(state.e_x)
        u = b.sqrt(e_x + eps) / b.sqrt(e_g + eps) * g
        return u, ScaleByAdaDeltaState(e_g, update_second_moment(b, u, e_x, rho))

    return transformation("scale_by_adadelta", init, update, rho=rho, eps=eps)


def adadelta(
    learning_rate: base.ScalarOrSchedule | None = None,
    rho: jax.typing.ArrayLike = 0.9,
    eps: jax.typing.ArrayLike = 1e-6,
    weight_decay: base.ScalarOrSchedule = 0.0,
    weight_decay_mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """Adadelta: weight decay into the gradient, `scale_by_adadelta`, then minus the learning rate.

    Without a learning rate the updates keep the sign of the gradient, as in Optax. State: ``(EmptyState or MaskedState,
    ScaleByAdaDeltaState, EmptyState or ScaleByScheduleState)``. Source: Zeiler 2012, algorithm 1.
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )
