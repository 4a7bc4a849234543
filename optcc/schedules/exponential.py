"""Exponential decay."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from optcc.base import Schedule
from optcc.numerics import Scalar
from optcc.schedules.polynomial import constant_schedule


def exponential_decay(
    init_value: Scalar,
    transition_steps: int,
    decay_rate: Scalar,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: Scalar | None = None,
) -> Schedule:
    """Multiply by ``decay_rate`` every ``transition_steps`` steps.

    At step ``t``, with ``s = t - transition_begin``::

        value = init_value                                        if s <= 0
        value = init_value * decay_rate**(s / transition_steps)   otherwise

    Args:
      init_value: value up to step ``transition_begin``.
      transition_steps: steps in which the value changes by the factor ``decay_rate``. If it is not positive, the value
        is ``init_value`` for ever.
      decay_rate: the factor. If it is 0, the value is ``init_value`` for ever, whatever ``end_value`` is. A negative
        one makes sense with ``staircase`` only.
      transition_begin: step at which the decay starts; a negative one counts as 0.
      staircase: round the exponent down to a whole number, so that the value changes in jumps.
      end_value: lower bound of every value if ``decay_rate < 1``, upper bound otherwise; None for no bound.
    """
    if transition_steps <= 0 or decay_rate == 0:
        return constant_schedule(init_value)
    begin = max(transition_begin, 0)
    bound = jnp.maximum if decay_rate < 1 else jnp.minimum

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        elapsed = jnp.asarray(count) - begin
        exponent = elapsed / transition_steps
        if staircase:
            exponent = jnp.floor(exponent)
        value = jnp.where(elapsed <= 0, init_value, init_value * jnp.power(decay_rate, exponent))
        return value if end_value is None else bound(value, end_value)

    return schedule
