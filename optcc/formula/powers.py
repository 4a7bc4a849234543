"""Step-level numbers that are differences of nearly equal ones, computed so that nothing cancels.

A decay that is a number of the chain enters as its logarithm, which the host takes in float64. Rounding the decay to
float32 first would change ``1 - 0.9999999`` by 19 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from optcc.formula.values import HOST_F64, Scalar

if TYPE_CHECKING:
    from optcc.formula.arithmetic import Emitter

TERMS = 10
"""Of the series of ``exp(x) - 1 - x`` for x below 1; the next one is 4e-9 of the sum."""


def one_minus_power(b: Emitter, decay: Scalar, count: Scalar) -> Scalar:
    """``1 - decay**count`` for a positive count."""
    change = b.unary("expm1", count * _log(b, decay))
    # The odd powers of a negative decay are negative, far from 1.
    return b.where(decay**count < 0.0, 2.0 + change, 0.0 - change)


def average_length(b: Emitter, decay: Scalar, count: Scalar) -> Scalar:
    """``2 / (1 - decay) - 1 - 2 * count * decay**count / (1 - decay**count)``: the length of an average of this decay.

    It is about ``count`` at first. With ``x = -count * log(decay)`` it is ``2 / -log(decay) * (1 - x / (exp(x) - 1))``
    and a constant of about ``(1 - decay) / 6``. NaN for a decay that is not between 0 and 1.
    """
    rate = -_log(b, decay)
    x = count * rate
    change = b.unary("expm1", x)
    is_small = x < 1.0
    near = b.where(is_small, x, 1.0)
    series = near / float(TERMS + 1) + 1.0
    for k in range(TERMS, 2, -1):
        series = near / float(k) * series + 1.0
    share = b.where(is_small, near * near / 2.0 * series / change, 1.0 - x / change)
    return 2.0 / rate * share + _rest(b, decay, rate)


def _rest(b: Emitter, decay: Scalar, rate: Scalar) -> Scalar:
    """``2 / (1 - decay) - 1 - 2 / rate``, by the series of Gregory's coefficients where float32 would see nothing."""
    direct = 2.0 / (1.0 - decay) - 1.0 - 2.0 / rate
    if decay.dtype is HOST_F64:
        return direct
    z = 1.0 - decay
    return b.where(z < 0.1, z * (1 / 6 + z * (1 / 12 + z * (19 / 360 + z * (3 / 80)))), direct)


def _log(b: Emitter, decay: Scalar) -> Scalar:
    """``log(|decay|)``. At 0 it is minus infinity with derivative 0, as all its multiples."""
    magnitude = b.abs(decay)
    if decay.dtype is HOST_F64:
        return b.unary("log1p", magnitude - 1.0)
    is_zero = decay.equals(0.0)
    return b.where(is_zero, -float("inf"), b.unary("log1p", b.where(is_zero, 1.0, magnitude) - 1.0))
