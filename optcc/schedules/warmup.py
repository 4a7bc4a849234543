"""Linear warmup followed by a decay, once or in cycles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

import jax.numpy as jnp

from optcc.base import Schedule
from optcc.errors import message
from optcc.numerics import Scalar
from optcc.schedules.cosine import cosine_decay_schedule
from optcc.schedules.exponential import exponential_decay
from optcc.schedules.join import join_schedules
from optcc.schedules.polynomial import linear_schedule


def warmup_constant_schedule(init_value: Scalar, peak_value: Scalar, warmup_steps: int) -> Schedule:
    """A straight line up to the peak, which then stays: `linear_schedule` under a name that says what it is for.

    Args:
      init_value: value at step 0.
      peak_value: value from step ``warmup_steps`` on.
      warmup_steps: length of the warmup.
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(
    init_value: Scalar,
    peak_value: Scalar,
    warmup_steps: int,
    decay_steps: int,
    end_value: Scalar = 0.0,
    exponent: Scalar = 1.0,
) -> Schedule:
    """A straight line up to the peak, then half a cosine down.

    At step ``t``::

        value = linear_schedule(init_value, peak_value, warmup_steps)(t)                    if t < warmup_steps
        value = cosine_decay_schedule(peak_value, decay_steps - warmup_steps,
                                      end_value / peak_value, exponent)(t - warmup_steps)   otherwise

    If ``peak_value`` is 0, the second part is 0 throughout.

    Args:
      init_value: value at step 0.
      peak_value: value at step ``warmup_steps``.
      warmup_steps: length of the warmup; 0 for none.
      decay_steps: length of the whole schedule, the warmup included.
      end_value: value from step ``decay_steps`` on.
      exponent: power of the cosine term, as in `cosine_decay_schedule`.

    Raises:
      ValueError: ``decay_steps`` is not larger than ``warmup_steps``.
    """
    if not decay_steps > warmup_steps:
        raise ValueError(
            message(
                f"warmup_cosine_decay_schedule: decay_steps must be larger than warmup_steps, "
                f"got decay_steps={decay_steps}, warmup_steps={warmup_steps}",
                fix="decay_steps is the length of the whole schedule: add the length of the warmup",
            )
        )
    alpha = _ratio_or_zero(end_value, peak_value)
    warmup = linear_schedule(init_value, peak_value, warmup_steps)
    decay = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    return join_schedules([warmup, decay], [warmup_steps])


def warmup_exponential_decay_schedule(
    init_value: Scalar,
    peak_value: Scalar,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: Scalar,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Scalar | None = None,
) -> Schedule:
    """A straight line up to the peak, then an exponential decay.

    At step ``t``::

        value = linear_schedule(init_value, peak_value, warmup_steps)(t)        if t < warmup_steps
        value = exponential_decay(peak_value, transition_steps, decay_rate,
                    transition_begin, staircase, end_value)(t - warmup_steps)   otherwise

    Args:
      init_value: value at step 0.
      peak_value: value at step ``warmup_steps``.
      warmup_steps: length of the warmup; 0 for none.
      transition_steps: as in `exponential_decay`, like the arguments that follow it.
      decay_rate: factor per ``transition_steps`` steps.
      transition_begin: steps, counted from the end of the warmup, for which the peak is held.
      staircase: decay in jumps.
      end_value: bound of the second part; None for no bound.
    """
    warmup = linear_schedule(init_value, peak_value, warmup_steps)
    decay = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return join_schedules([warmup, decay], [warmup_steps])


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """Warm restarts: one `warmup_cosine_decay_schedule` after the other.

    Args:
      cosine_kwargs: the arguments of each cycle by name. Its ``decay_steps`` is the length of that cycle; the last
        cycle's end value stays.

    Raises:
      ValueError: no cycle, or arguments that `warmup_cosine_decay_schedule` refuses.

    Reference: Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983.
    """
    cycles = list(cosine_kwargs)
    if not cycles:
        raise ValueError(message("sgdr_schedule: no cycle given", fix="pass the arguments of at least one cycle"))
    schedules = [warmup_cosine_decay_schedule(**cycle) for cycle in cycles]
    return join_schedules(schedules, list(accumulate(cycle["decay_steps"] for cycle in cycles[:-1])))


def _ratio_or_zero(numerator: Scalar, denominator: Scalar) -> Scalar:
    """The quotient, or 0 where the denominator is 0; Python numbers give a Python number."""
    if isinstance(denominator, int | float):
        return numerator / denominator if denominator else 0.0
    is_zero = denominator == 0
    # Two selections: the quotient must be finite where it is not taken, or its gradient would be NaN.
    return jnp.where(is_zero, 0.0, numerator / jnp.where(is_zero, 1.0, denominator))
