"""One cycle: up to the peak, down again, then far down."""

from __future__ import annotations

from optcc.base import Schedule
from optcc.errors import message
from optcc.numerics import Scalar
from optcc.schedules.piecewise import piecewise_interpolate_schedule


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: Scalar,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: Scalar = 25.0,
    final_div_factor: Scalar = 1e4,
) -> Schedule:
    """One cycle of straight lines.

    The value at these steps (rounded down), and straight lines in between, then constant::

        0                              peak_value / div_factor
        pct_start * transition_steps   peak_value
        pct_final * transition_steps   peak_value / div_factor
        transition_steps               peak_value / div_factor / final_div_factor

    When the steps are so few that two of these rounded ones are equal, the later row replaces the earlier one, and its
    factor then applies to the row before that; this is how Optax computes it.

    Args:
      transition_steps: length of the cycle.
      peak_value: largest value.
      pct_start: fraction of the cycle (0 to 1, in spite of the name) spent going up.
      pct_final: fraction of the cycle after which the value is back at its start.
      div_factor: peak value over initial value.
      final_div_factor: initial value over final value.

    Raises:
      ValueError: ``transition_steps`` or a factor is not positive, or not ``0 <= pct_start <= pct_final <= 1``.

    Reference: Smith and Topin, Super-Convergence, https://arxiv.org/abs/1708.07120.
    """
    _check("linear_onecycle_schedule", transition_steps, (pct_start, pct_final), (div_factor, final_div_factor))
    return piecewise_interpolate_schedule(
        "linear",
        peak_value / div_factor,
        {
            int(pct_start * transition_steps): div_factor,
            int(pct_final * transition_steps): 1.0 / div_factor,
            transition_steps: 1.0 / final_div_factor,
        },
    )


def cosine_onecycle_schedule(
    transition_steps: int,
    peak_value: Scalar,
    pct_start: float = 0.3,
    div_factor: Scalar = 25.0,
    final_div_factor: Scalar = 1e4,
) -> Schedule:
    """One cycle of two half cosines.

    The value at these steps (rounded down), and half a period of a cosine in between, then constant::

        0                              peak_value / div_factor
        pct_start * transition_steps   peak_value
        transition_steps               peak_value / div_factor / final_div_factor

    Args:
      transition_steps: length of the cycle.
      peak_value: largest value.
      pct_start: fraction of the cycle (0 to 1, in spite of the name) spent going up.
      div_factor: peak value over initial value.
      final_div_factor: initial value over final value.

    Raises:
      ValueError: ``transition_steps`` or a factor is not positive, or not ``0 <= pct_start <= 1``.

    Reference: Smith and Topin, Super-Convergence, https://arxiv.org/abs/1708.07120.
    """
    _check("cosine_onecycle_schedule", transition_steps, (pct_start,), (div_factor, final_div_factor))
    return piecewise_interpolate_schedule(
        "cosine",
        peak_value / div_factor,
        {
            int(pct_start * transition_steps): div_factor,
            transition_steps: 1.0 / (div_factor * final_div_factor),
        },
    )


def _check(name: str, transition_steps: int, fractions: tuple[float, ...], factors: tuple[Scalar, Scalar]) -> None:
    if not transition_steps > 0:
        raise ValueError(
            message(
                f"{name}: transition_steps must be positive, got {transition_steps}",
                fix="pass the length of the cycle in steps",
            )
        )
    if list(fractions) != sorted(fractions) or not all(0 <= fraction <= 1 for fraction in fractions):
        raise ValueError(
            message(
                f"{name}: pct_start and pct_final must be in order within 0 and 1, got {fractions}",
                fix="they are fractions of transition_steps, not percentages: pass 0.3 for 30 %",
            )
        )
    if not all(factor > 0 for factor in factors):
        raise ValueError(
            message(
                f"{name}: div_factor and final_div_factor must be positive, got {factors}",
                fix="values are divided by them: pass 1.0 for no change",
            )
        )
