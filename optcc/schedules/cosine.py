"""Cosine decay."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from optcc.base import Schedule
from optcc.errors import message
from optcc.numerics import Scalar


def cosine_decay_schedule(
    init_value: Scalar, decay_steps: int, alpha: Scalar = 0.0, exponent: Scalar = 1.0
) -> Schedule:
    """Fall along half a period of the cosine, then stay.

    At step ``t``::

        cosine = (1 + cos(pi * min(t, decay_steps) / decay_steps)) / 2
        value = init_value * ((1 - alpha) * cosine**exponent + alpha)

    Args:
      init_value: value at step 0.
      decay_steps: step from which the value is ``alpha * init_value``. The cycle does not repeat: see `sgdr_schedule`.
      alpha: last value as a fraction of ``init_value``.
      exponent: power of the cosine term; above 1 the fall is faster at the start.

    Raises:
      ValueError: ``decay_steps`` is not positive.

    Reference: Loshchilov and Hutter, SGDR, https://arxiv.org/abs/1608.03983, equation 5 without restarts.
    """
    if not decay_steps > 0:
        raise ValueError(
            message(
                f"cosine_decay_schedule: decay_steps must be positive, got {decay_steps}",
                fix="pass the number of steps over which to decay; for no decay use constant_schedule",
            )
        )

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        elapsed = jnp.minimum(jnp.asarray(count), float(decay_steps))
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * elapsed / float(decay_steps)))
        return init_value * ((1 - alpha) * cosine**exponent + alpha)

    return schedule
