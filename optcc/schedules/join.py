"""Schedules one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp

from optcc.base import Schedule
from optcc.errors import message


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """Run schedules one after the other.

    The first one counts from step 0; schedule ``i`` takes over at step ``boundaries[i - 1]`` and counts from there.
    Every schedule is evaluated at every step, also outside its own range (then at a negative count), and one value is
    selected.

    Args:
      schedules: one or more schedules.
      boundaries: steps at which the next schedule starts, one fewer than schedules, in order. Two equal ones leave the
        schedule between them out.

    Raises:
      ValueError: no schedule, another number of boundaries, or boundaries out of order.
    """
    if not schedules:
        raise ValueError(message("join_schedules: no schedule given", fix="pass at least one schedule"))
    if len(boundaries) != len(schedules) - 1:
        raise ValueError(
            message(
                f"join_schedules: {len(schedules)} schedules need {len(schedules) - 1} boundaries, "
                f"got {len(boundaries)}: {list(boundaries)}",
                fix="pass the first step of every schedule but the first",
            )
        )
    if any(later < earlier for earlier, later in pairwise(boundaries)):
        raise ValueError(
            message(
                f"join_schedules: boundaries must not decrease, got {list(boundaries)}",
                fix="sort them together with their schedules",
            )
        )

    def schedule(count: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
        count = jnp.asarray(count)
        value = schedules[0](count)
        for boundary, following in zip(boundaries, schedules[1:], strict=True):
            value = jnp.where(count < boundary, value, following(count - boundary))
        return value

    return schedule
