"""Piecewise constant and piecewise interpolated schedules."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import jax
import jax.numpy as jnp

from optcc.base import Schedule
from optcc.errors import message
from optcc.numerics import Scalar
from optcc.schedules.polynomial import constant_schedule


def piecewise_constant_schedule(
    init_value: Scalar, boundaries_and_scales: Mapping[int, Scalar] | None = None
) -> Schedule:
    """Multiply the value by a factor at each of some steps.

    At step ``t`` the value is ``init_value`` times the product of all ``f_i`` with ``b_i <= t``.

    Args:
      init_value: value before the first boundary.
      boundaries_and_scales: from steps ``b_i`` to non-negative factors ``f_i``, in any order; None for none.

    Raises:
      ValueError: a factor is negative.
    """
    if not boundaries_and_scales:
        return constant_schedule(init_value)
    _check_scales("piecewise_constant_schedule", boundaries_and_scales)

    def schedule(count: jax.typing.ArrayLike) -> jax.typing.ArrayLike:
        count = jnp.asarray(count)
        value = init_value
        for boundary, scale in sorted(boundaries_and_scales.items()):
            value = value * jnp.where(count >= boundary, scale, 1.0)
        return value

    return schedule


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: Scalar, boundaries_and_scales: Mapping[int, Scalar] | None = None
) -> Schedule:
    """Interpolate between values that are given at some steps.

    With ``b_0 = 0``, ``v_0 = init_value`` and ``v_i = v_{i-1} * f_i``, at a step ``t`` from ``b_i`` to ``b_{i+1}``::

        x = (t - b_i) / (b_{i+1} - b_i)
        value = v_i + (v_{i+1} - v_i) * x                               'linear'
        value = v_{i+1} + (v_i - v_{i+1}) / 2 * (1 + cos(pi * x))       'cosine'

    From the last boundary on the value stays; at a negative step it is 0. Of two boundaries at one step (a first one
    at 0) the last counts, so no interval of length zero is ever divided by.

    Args:
      interpolate_type: 'linear' or 'cosine'.
      init_value: value at step 0.
      boundaries_and_scales: from steps ``b_i`` to non-negative factors ``f_i``, in any order; None for none.

    Raises:
      ValueError: another ``interpolate_type``, or a factor is negative.
    """
    if interpolate_type not in ("linear", "cosine"):
        raise ValueError(
            message(
                f"piecewise_interpolate_schedule: unknown interpolate_type {interpolate_type!r}",
                fix="pass 'linear' or 'cosine'",
            )
        )
    scales = dict(boundaries_and_scales or {})
    _check_scales("piecewise_interpolate_schedule", scales)
    interpolate = _linear if interpolate_type == "linear" else _cosine
    boundaries = [0, *sorted(scales)]
    factors = [scales[boundary] for boundary in boundaries[1:]]

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        count = jnp.asarray(count)
        values = [jnp.asarray(init_value, dtype=jnp.result_type(init_value, *factors, 1.0))]
        for factor in factors:
            values.append(values[-1] * factor)
        result = jnp.zeros_like(values[0])
        for (start, stop), (first, last) in zip(pairwise(boundaries), pairwise(values), strict=True):
            fraction = (count - start) / max(stop - start, 1)
            result = jnp.where(count >= start, interpolate(first, last, fraction), result)
        return jnp.where(count >= boundaries[-1], values[-1], result)

    return schedule


def _linear(first: jax.Array, last: jax.Array, fraction: jax.Array) -> jax.Array:
    return (last - first) * fraction + first


def _cosine(first: jax.Array, last: jax.Array, fraction: jax.Array) -> jax.Array:
    return last + (first - last) / 2 * (jnp.cos(jnp.pi * fraction) + 1)


def _check_scales(name: str, scales: Mapping[int, Scalar]) -> None:
    negative = {boundary: scale for boundary, scale in scales.items() if scale < 0}
    if negative:
        raise ValueError(
            message(
                f"{name}: scales must not be negative, got {negative} (boundary: scale)",
                fix="a scale multiplies the value from its boundary on; use one between 0 and 1 to lower it",
            )
        )
