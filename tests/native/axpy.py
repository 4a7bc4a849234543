"""The kernel `AXPY` on random leaves, and what it should give."""

from __future__ import annotations

import os
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optcc.runtime import native
from tests.native.kernels import SIZES, axpy, device, random_leaves

COMPILER = any(map(shutil.which, (os.environ.get("CXX", "c++"), "g++", "clang++")))


# With a compiler on the machine the library must be there.
needs_library = pytest.mark.skipif(not COMPILER and not native.available(), reason=native.unavailable_reason())


def inputs(sizes: tuple[int, ...] = SIZES) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    return random_leaves([len(sizes)], 0)[0], random_leaves(sizes, 1), random_leaves(sizes, 2)


def expected_axpy(lr: float, w: np.ndarray, p: list[np.ndarray], g: list[np.ndarray]) -> tuple[Any, ...]:
    u = [np.float32(lr) * rate * leaf for rate, leaf in zip(w, g, strict=True)]
    sums = [np.sum(leaf.astype(np.float64) ** 2) for leaf in g]
    top = max(np.max(np.abs(leaf), initial=-np.inf) for leaf in g)
    return [a - b for a, b in zip(p, u, strict=True)], u, np.array(sums), np.sum(sums), top


def check_axpy(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for leaf, other in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        np.testing.assert_array_equal(leaf, other)
    for fold, other in zip(found[2:], expected[2:], strict=True):
        np.testing.assert_allclose(fold, other, rtol=1e-7)


def run_axpy(**changes: Any) -> Any:
    w, p, g = inputs((4, 3))
    step = jax.jit(lambda lr, w, p, g: axpy(lr, w, p, g, **changes))
    return jax.block_until_ready(step(jnp.float32(0.1), jnp.array(w), device(p), device(g)))
