"""Constant, linear and polynomial schedules."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from optcc.base import Schedule
from optcc.numerics import Scalar


def constant_schedule(value: Scalar) -> Schedule:
    """The same value at every step.

    Args:
      value: what the schedule returns, as it is: a Python number stays one.
    """

    def schedule(count: jax.typing.ArrayLike) -> Scalar:
        del count
        return value

    return schedule


def polynomial_schedule(
    init_value: Scalar,
    end_value: Scalar,
    power: Scalar,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """Move from one value to another along a power of the remaining fraction.

    At step ``t``::

        s = clip(t - transition_begin, 0, transition_steps)
        value = (init_value - end_value) * (1 - s / transition_steps)**power + end_value

    Args:
      init_value: value up to step ``transition_begin``.
      end_value: value from step ``transition_begin + transition_steps`` on.
      power: exponent; 1 is a straight line, larger powers move faster at the start. A Python int becomes products.
      transition_steps: length of the transition. If it is not positive, the value is ``init_value`` for ever.
      transition_begin: step at which the transition starts; a negative one counts as 0.
    """
    if transition_steps <= 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        # Clipped while still an integer: a float32 cannot tell steps beyond 2**24 apart.
        elapsed = jnp.clip(jnp.asarray(count) - begin, 0, transition_steps)
        remaining = 1 - elapsed / transition_steps
        return (init_value - end_value) * remaining**power + end_value

    return schedule


def linear_schedule(
    init_value: Scalar, end_value: Scalar, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """Move from one value to another in a straight line: `polynomial_schedule` with power 1."""
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)
