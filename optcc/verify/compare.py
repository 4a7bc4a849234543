"""How far two arrays are apart: in units in the last place, and beside what the numerics contract allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

SMALLEST = 2.0**-23
"""Numbers of a formula are float32 at least: a sum that cancels is as far from zero as some roundings of 1."""
FOLDED = 1e-5
"""What a sum over elements may differ by, relative to the largest value of a leaf: its order is not fixed."""
CANCELLED = 16
"""Ulps that are allowed on special values, among which large ones nearly cancel."""
JUMPS = 1e-6
"""The part of a leaf that may differ by anything behind a sign: one ulp before it is a full step after it."""


@dataclass(frozen=True)
class Tolerance:
    """What is allowed of a program: `folds` if it has reductions or functions that libraries round differently.

    `jumps` if it has comparisons, behind which a difference in the last place becomes another choice.
    """

    folds: bool
    jumps: bool
    special: bool = False
    """Whether the inputs are special values: there NaN, infinities and magnitudes are what is compared."""


@dataclass(frozen=True)
class Difference:
    """The largest difference of two arrays.

    `ulps` is in units in the last place of the larger value. `excess` is the largest error over what is allowed:
    beyond 1 the arrays disagree. `index`, `got` and `expected` are of the element with that error.
    """

    ulps: float
    excess: float
    index: tuple[int, ...]
    got: str
    expected: str


def difference(got: jax.Array, expected: jax.Array, tolerance: Tolerance) -> Difference:
    """Compare an array with the reference. NaN is equal to NaN; what is no float must be equal."""
    if jnp.issubdtype(expected.dtype, jax.dtypes.prng_key):
        got, expected = map(jax.random.key_data, (got, expected))
    if (got.dtype, got.shape) != (expected.dtype, expected.shape):
        text = [f"{x.dtype}{list(x.shape)}" for x in (got, expected)]
        return Difference(math.inf, math.inf, (), *text)
    if got.size == 0:
        return Difference(0.0, 0.0, (), "", "")
    if not jnp.issubdtype(got.dtype, jnp.floating):
        wrong = np.asarray(got) != np.asarray(expected)
        error = np.where(wrong, np.inf, 0.0)
        return _largest(error, error, got, expected)
    a, b = (np.asarray(x, np.float64) for x in (got, expected))
    info = jnp.finfo(got.dtype)
    ulps, excess = _errors(a, b, float(info.eps), float(info.tiny), tolerance)
    if tolerance.jumps:
        allowed = math.ceil(JUMPS * a.size) if a.size > 1 else 0
        finite = np.flatnonzero((excess > 1).ravel() & np.isfinite(a).ravel() & np.isfinite(b).ravel())
        if 0 < len(finite) <= allowed:
            excess.ravel()[finite] = 1.0
    return _largest(ulps, excess, got, expected)


def _errors(
    a: np.ndarray, b: np.ndarray, epsilon: float, tiny: float, tolerance: Tolerance
) -> tuple[np.ndarray, np.ndarray]:
    """For each element its error in ulps, and over what is allowed."""
    size = np.abs(np.where(np.isfinite(b), b, 0.0))
    relative, absolute = 2 * epsilon, 4 * min(epsilon, SMALLEST)
    if tolerance.special:
        relative = CANCELLED * epsilon
    if tolerance.folds:
        relative = max(FOLDED, epsilon)
        absolute = max(absolute, relative * float(size.max(initial=0.0)))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(same, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf, posinf=np.inf))
    larger = np.maximum(np.abs(np.where(np.isfinite(a), a, 0.0)), size)
    spacing = np.exp2(np.floor(np.log2(np.maximum(larger, tiny)))) * epsilon
    return error / spacing, error / (relative * size + absolute)


def _largest(ulps: np.ndarray, excess: np.ndarray, got: jax.Array, expected: jax.Array) -> Difference:
    index = np.unravel_index(int(np.argmax(excess)), excess.shape) if excess.shape else ()
    place = tuple(int(i) for i in index)
    values = [str(np.asarray(x)[place]) for x in (got, expected)]
    return Difference(float(ulps.max()), float(excess.max()), place, *values)
