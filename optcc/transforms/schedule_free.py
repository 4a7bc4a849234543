"""Schedule-free learning: an average of the iterates in place of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import OptState
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.formula.hyper_names import INNER
from optcc.schedules import linear_schedule
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType, canonical, scale_by_rms
from optcc.transforms.optimizers import sgd
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate
from optcc.transforms.step_scalars import constants, narrowest, value_at, wide

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ScheduleFreeState(NamedTuple):
    """The interpolation, the sum of weights, one more than the steps, the largest rate, the base's state, and z."""

    b1: base.Number
    weight_sum: base.Number
    step_count: base.Count
    max_lr: base.Number
    base_optimizer_state: base.OptState
    z: base.Params


def schedule_free(
    base_optimizer: base.GradientTransformation,
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.9,
    weight_lr_power: jax.typing.ArrayLike = 2.0,
    state_dtype: DType | None = None,
) -> base.GradientTransformationExtraArgs:
    """Step a base optimizer beside an average of its iterates, and take gradients between the two.

    The parameters y are between the base's iterate z and the average x, ``y = b1 * x + (1 - b1) * z``. With u the base
    optimizer's update for the gradient at y, and the learning rate a number or a schedule of the steps from 1 on::

        x  = (y - (1 - b1) * z) / b1
        l <- max(l, learning_rate)
        w <- w + l**weight_lr_power
        z <- z + u
        x <- (1 - c) * x + c * z                with c = l**weight_lr_power / w, 0 where that is 0 / 0
        update = b1 * x + (1 - b1) * z - y

    Evaluate at x, which `schedule_free_eval_params` gives. The base optimizer has the learning rate as well, and no
    momentum of its own.

    State: ``ScheduleFreeState(b1, weight_sum, step_count, max_lr, base_optimizer_state, z)``, ``z`` of ``state_dtype``
    if given, the numbers in the narrowest dtype of the parameters. Raises ValueError if ``update`` gets no parameters.
    Source: Defazio et al. 2024, equations 11 to 13.
    """
    child, dtype = definition_of(base_optimizer), canonical(state_dtype)

    def init(b: Builder, params: Tree) -> Any:
        low = narrowest(params)
        zero = b.number(0.0, low, weak=False)
        inner = b.initialize(INNER, child, params)
        interpolation: Any = b.cast_scalar(b.hyper("b1", b1), low)
        fields: list[Any] = [zero, b.integer(1), zero, inner, b.cast(params, dtype)]
        return ScheduleFreeState(interpolation, *fields)

    def update(
        b: Builder,
        g: Tree,
        state: OptState,
        params: Tree | None,
        *,
        b1: Scalar,
        weight_lr_power: Scalar,
        **given: Scalar,
    ):
        y = b.require_params(params)
        rate = value_at(b, learning_rate, state.step_count, given.get("learning_rate"))
        largest = b.maximum(wide(b, state.max_lr), rate)
        weight = b.power(largest, weight_lr_power)
        total = wide(b, state.weight_sum) + weight
        c = b.where(total.equals(0.0), 0.0, weight / total)
        u, inner = b.apply(INNER, child, g, state.base_optimizer_state, y)
        z = b.cast_like(state.z + u, state.z)
        before = (y - (1.0 - b1) * state.z) / b1
        x = (1.0 - c) * before + c * z
        new = b1 * x + (1.0 - b1) * z
        count = b.increment(state.step_count)
        new_state: Any = ScheduleFreeState(state.b1, total, count, largest, inner, z)  # type: ignore[arg-type]
        return new - y, new_state

    hypers = {"b1": b1, "weight_lr_power": weight_lr_power, **constants(learning_rate=learning_rate)}
    return as_pair(Definition("schedule_free", init, update, hypers, children=(child,), labels=(INNER,)))


def schedule_free_eval_params(state: base.OptState, params: base.Params) -> base.Params:
    """The average x of `schedule_free`, to be evaluated, from its state and the parameters y.

    ``x = (y - (1 - b1) * z) / b1``. Raises ValueError for another state.
    """
    b1, z = getattr(state, "b1", None), getattr(state, "z", None)
    if b1 is None or z is None:
        what = f"schedule_free_eval_params requires a ScheduleFreeState as input, got {type(state).__name__}"
        raise ValueError(message(what, fix="pass the part of the state that is one"))
    return jax.tree.map(lambda y, z: (y - (1.0 - b1) * z) / b1, params, z)


def schedule_free_sgd(
    learning_rate: jax.typing.ArrayLike = 1.0,
    warmup_steps: int | None = None,
    b1: jax.typing.ArrayLike = 0.9,
    weight_decay: base.ScalarOrSchedule | None = None,
    weight_lr_power: jax.typing.ArrayLike = 2.0,
    state_dtype: DType | None = None,
) -> base.GradientTransformationExtraArgs:
    """Schedule-free SGD: `schedule_free` around `sgd`, with weight decay before it if given.

    The learning rate grows linearly from 0 in ``warmup_steps``. State: ``ScheduleFreeState``. Source: Defazio et al.
    2024, algorithm 1.
    """
    rate = _warmed_up(learning_rate, warmup_steps)
    decay = [] if weight_decay is None else [add_decayed_weights(weight_decay)]
    inner = chain(*decay, sgd(rate)) if decay else sgd(rate)
    return schedule_free(inner, rate, b1, weight_lr_power, state_dtype)


def schedule_free_adamw(
    learning_rate: jax.typing.ArrayLike = 0.0025,
    warmup_steps: int | None = None,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule = 0.0,
    weight_lr_power: jax.typing.ArrayLike = 2.0,
    state_dtype: DType | None = None,
) -> base.GradientTransformationExtraArgs:
    """Schedule-free AdamW: `schedule_free` around a bias-corrected `scale_by_rms` with decoupled weight decay.

    The learning rate grows linearly from 0 in ``warmup_steps``. State: ``ScheduleFreeState``. Source: Defazio et al.
    2024, algorithm 1.
    """
    rate = _warmed_up(learning_rate, warmup_steps)
    inner = chain(
        scale_by_rms(b2, eps, eps_in_sqrt=False, bias_correction=True),
        add_decayed_weights(weight_decay),
        scale_by_learning_rate(rate),
    )
    return schedule_free(inner, rate, b1, weight_lr_power, state_dtype)


def _warmed_up(learning_rate: Any, warmup_steps: int | None) -> base.ScalarOrSchedule:
    return learning_rate if warmup_steps is None else linear_schedule(0.0, learning_rate, warmup_steps)
