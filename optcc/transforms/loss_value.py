"""Step sizes from the value of the loss, which `update` gets as `value=`: polyak_sgd, reduce_on_plateau."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import numpy as np

from optcc import base
from optcc.base import OptState
from optcc.errors import did_you_mean, message
from optcc.formula.definition import Definition, as_pair
from optcc.transforms.combining import chain
from optcc.transforms.optimizers import sgd
from optcc.transforms.step_scalars import extra_scalar, narrowest, wide, widest

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

TINY = float(np.finfo(np.float64).eps)
"""A squared norm up to which a gradient counts as zero."""


class ReduceLROnPlateauState(NamedTuple):
    """The factor, the least value, how often it was not improved, steps to wait, and the values added up so far."""

    scale: base.Number
    best_value: base.Number
    plateau_count: base.Count
    cooldown_count: base.Count
    count: base.Count
    avg_value: base.Number


def scale_by_polyak(
    f_min: jax.typing.ArrayLike = 0.0,
    max_learning_rate: jax.typing.ArrayLike = 1.0,
    eps: jax.typing.ArrayLike = 0.0,
    variant: Literal["sps", "sps+"] = "sps",
) -> base.GradientTransformationExtraArgs:
    """Scale by Polyak's step size: the gap of the loss over the squared norm.

    ``u = min((value - f_min) / (|g|**2 + eps), max_learning_rate) * g`` with the norm over all leaves, and 0 where
    ``|g|**2 + eps`` is. A negative gap counts as 0 in the variant ``"sps+"``. ``update`` needs ``value=``, a number.
    State: ``EmptyState()``. Raises ValueError for another variant. Source: Loizou et al. 2021, equation 3; Garrigos et
    al. 2023 for ``"sps+"``.
    """
    variants = ("sps", "sps+")
    if variant not in variants:
        what = f"Invalid argument value for Polyak SGD: variant={variant!r}"
        raise ValueError(message(what, fix=did_you_mean(str(variant), variants) or f"one of {variants}"))

    def init(b: Builder, params: Tree) -> Any:
        return base.EmptyState()

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        gap = extra_scalar(b, "value") - hypers["f_min"]
        if variant == "sps+":
            gap = b.maximum(gap, 0.0)
        squared = b.abs_sq(g).sum() + hypers["eps"]
        step = b.minimum(gap / squared, hypers["max_learning_rate"])
        return b.where(squared <= TINY, 0.0, step) * g, state

    hypers = {"f_min": f_min, "max_learning_rate": max_learning_rate, "eps": eps}
    return as_pair(Definition("scale_by_polyak", init, update, hypers, uses_extra_args=True))


def polyak_sgd(
    max_learning_rate: jax.typing.ArrayLike = 1.0,
    scaling: base.ScalarOrSchedule = 1.0,
    f_min: jax.typing.ArrayLike = 0.0,
    eps: jax.typing.ArrayLike = 0.0,
    variant: Literal["sps", "sps+"] = "sps",
) -> base.GradientTransformationExtraArgs:
    """SGD with Polyak's step size: `sgd` with the rate ``scaling``, then `scale_by_polyak`.

    ``update`` needs ``value=``, the loss. State: ``((EmptyState, EmptyState or ScaleByScheduleState), EmptyState)``.
    Source: Loizou et al. 2021, equation 3.
    """
    return chain(sgd(scaling), scale_by_polyak(f_min, max_learning_rate, eps, variant))


def reduce_on_plateau(
    factor: float = 0.1,
    patience: jax.typing.ArrayLike = 10,
    rtol: float = 1e-4,
    atol: float = 0.0,
    cooldown: jax.typing.ArrayLike = 0,
    accumulation_size: jax.typing.ArrayLike = 1,
    min_scale: jax.typing.ArrayLike = 0.0,
) -> base.GradientTransformationExtraArgs:
    """Scale the updates by a factor that shrinks when the loss stops improving.

    ``update`` needs ``value=``, the loss. The mean of every ``accumulation_size`` values is compared with the least so
    far: it improves if it is below ``(1 - rtol) * best - atol``. After ``patience`` comparisons in a row without
    improvement ``scale`` is multiplied by ``factor``, down to ``min_scale``, and the next ``cooldown`` comparisons do
    not count.

    State: ``ReduceLROnPlateauState(scale, best_value, plateau_count, cooldown_count, count, avg_value)``; ``scale`` has
    the narrowest dtype of the parameters, the values the widest, the counts are int32. Raises ValueError for a factor
    that is not between 0 and 1 and for tolerances that are negative, both 0, or relatively above 1.
    """

    def init(b: Builder, params: Tree) -> Any:
        low, high = narrowest(params), widest(params)
        one, best, mean = (b.number(x, d, weak=False) for x, d in ((1.0, low), (np.inf, high), (0.0, high)))
        fields: Any = (one, best, b.integer(0), b.integer(0), b.integer(0), mean)
        return ReduceLROnPlateauState(*fields)

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        whole = {name: b.cast_scalar(hypers[name], np.int32) for name in ("patience", "cooldown", "accumulation_size")}
        count = b.increment(state.count)
        mean = (b.as_float32(state.count) * wide(b, state.avg_value) + extra_scalar(b, "value")) / b.as_float32(count)
        compared = count.equals(whole["accumulation_size"])
        scale, best = wide(b, state.scale), wide(b, state.best_value)
        improved = mean < (1 - hypers["rtol"]) * best - hypers["atol"]
        waiting = state.cooldown_count > 0
        missed = b.where(improved, 0, b.increment(state.plateau_count))
        # No reduction while waiting, and no count.
        reduced = b.where(waiting, False, missed.equals(whole["patience"]))
        smaller = b.maximum(b.where(reduced, scale * hypers["factor"], scale), hypers["min_scale"])
        wait = b.where(waiting, state.cooldown_count - 1, b.where(reduced, whole["cooldown"], 0))
        missed = b.where(waiting | reduced, 0, missed)
        after: Any = (
            b.where(waiting, scale, smaller),
            b.where(improved, mean, best),
            missed,
            wait,
            b.integer(0),
            b.number(0.0, mean.dtype),
        )
        before: Any = (scale, best, state.plateau_count, state.cooldown_count, count, mean)
        new = ReduceLROnPlateauState(*(b.where(compared, x, y) for x, y in zip(after, before, strict=True)))
        return wide(b, new.scale) * g, new  # type: ignore[arg-type]

    hypers = {"factor": factor, "patience": patience, "rtol": rtol, "atol": atol, "cooldown": cooldown}
    hypers |= {"accumulation_size": accumulation_size, "min_scale": min_scale}
    return as_pair(Definition("reduce_on_plateau", init, update, hypers, uses_extra_args=True, check=_check_plateau))


def _check_plateau(hypers: Mapping[str, Any]) -> None:
    """Check the numbers that are no arrays. Raises ValueError."""
    factor, rtol, atol = (hypers[name] for name in ("factor", "rtol", "atol"))
    if isinstance(factor, int | float | np.number) and not 0.0 < factor < 1.0:
        raise ValueError(message(f"Factor must be in the range (0, 1), got factor = {factor}", "reduce_on_plateau"))
    if not isinstance(rtol, int | float | np.number) or not isinstance(atol, int | float | np.number):
        return
    got = f"got rtol = {rtol} and atol = {atol}"
    if rtol < 0.0 or atol < 0.0:
        raise ValueError(message(f"Both rtol and atol must be non-negative, {got}", "reduce_on_plateau"))
    if rtol == 0.0 and atol == 0.0:
        raise ValueError(message(f"At least one of rtol or atol must be positive, {got}", "reduce_on_plateau"))
    if rtol > 1.0:
        raise ValueError(message(f"rtol must be less than or equal to 1.0, {got}", "reduce_on_plateau"))
