"""Moving averages over pytrees, as adaptive optimizers keep them, and their correction for the zero start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optcc import base
from optcc.numerics import abs_sq


def update_moment(
    updates: base.Updates, moments: base.Updates, decay: jax.typing.ArrayLike, order: int
) -> base.Updates:
    """The moving average of a power: ``(1 - decay) * g**order + decay * m``, leaf by leaf.

    Args:
      updates: pytree of arrays, the values ``g``. A None stays None.
      moments: pytree of the same structure and shapes, the average ``m`` so far.
      decay: weight of the past, one number.
      order: the power; 1 for a mean, 2 for a mean of squares. The square of a complex number is complex.

    Returns:
      The new average, in the dtype that ``g`` and ``m`` promote to.
    """
    return _average(lambda g, m: (1 - decay) * (g**order) + decay * m, updates, moments)


def update_moment_per_elem_norm(
    updates: base.Updates, moments: base.Updates, decay: jax.typing.ArrayLike, order: int
) -> base.Updates:
    """The moving average of a power of the absolute value: ``(1 - decay) * |g|**order + decay * m``, leaf by leaf.

    For real leaves it is `update_moment`, which for an odd ``order`` keeps the sign. For complex leaves ``|g|**order``
    is real, so that a mean of squares stays one. Arguments and result are as there.
    """
    # An integer exponent multiplies out, a float one calls a power function.
    half = int(order) // 2 if order % 2 == 0 else order / 2

    def leaf(g: Any, m: Any) -> Any:
        power = abs_sq(g) ** half if jnp.iscomplexobj(g) else g**order
        return (1 - decay) * power + decay * m

    return _average(leaf, updates, moments)


def update_infinity_moment(
    updates: base.Updates, moments: base.Updates, decay: jax.typing.ArrayLike, eps: jax.typing.ArrayLike
) -> base.Updates:
    """A maximum that forgets: ``max(|g| + eps, decay * m)``, leaf by leaf.

    Args:
      updates: pytree of arrays, the values ``g``. A None stays None.
      moments: pytree of the same structure and shapes, the maximum ``m`` so far.
      decay: factor by which the past shrinks, one number.
      eps: added to the absolute value, to keep the result from zero.

    Returns:
      The new maximum, in the dtype that ``|g|`` and ``m`` promote to.

    Source: Kingma and Ba 2015, algorithm 2 (AdaMax).
    """
    return _average(lambda g, m: jnp.maximum(jnp.abs(g) + eps, decay * m), updates, moments)


def bias_correction(moment: base.Updates, decay: jax.typing.ArrayLike, count: jax.typing.ArrayLike) -> base.Updates:
    """An average that started at zero, freed of that start: ``m / (1 - decay**count)``, leaf by leaf.

    Args:
      moment: pytree of arrays, the average ``m`` after ``count`` steps.
      decay: the weight of the past that it was made with.
      count: the number of steps, 1 or more; at 0 the result is not finite.

    Returns:
      The corrected average, each leaf in its own dtype. The factor is computed in float32 or wider: in bfloat16
      ``decay**count`` would round to 1.

    Source: Kingma and Ba 2015, section 3.
    """
    return _bias_correction(moment, decay, count)


# Compiled, so that the power is the same one whether the count is known or traced.
@jax.jit
def _bias_correction(moment: base.Updates, decay: jax.Array, count: jax.Array) -> base.Updates:
    factor = 1 - decay**count
    return jax.tree.map(lambda m: m / factor.astype(m.dtype), moment)


def _average(leaf: Callable[[Any, Any], Any], updates: base.Updates, moments: base.Updates) -> base.Updates:
    return jax.tree.map(lambda g, m: None if g is None else leaf(g, m), updates, moments, is_leaf=lambda x: x is None)
