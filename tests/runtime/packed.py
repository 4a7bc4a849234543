"""Comparisons bit by bit, random states, and backends, for the tests of packed layouts."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optcc.runtime import native

BACKENDS = [
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]
backends = pytest.mark.parametrize("backend", BACKENDS)


def copied(tree: Any) -> Any:
    """Arrays that may be donated."""
    return jax.tree.map(jnp.copy, tree)


def bits(x: Any) -> np.ndarray:
    """The bytes of an array, so that NaN and the sign of 0 count, too."""
    x = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    return np.frombuffer(np.asarray(x).tobytes(), np.uint8)


def assert_same(got: Any, expected: Any) -> None:
    """One structure, one dtype and one shape for each leaf, and the same bits."""
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        where = jax.tree_util.keystr(path)
        assert (x.dtype, x.shape) == (y.dtype, y.shape), where
        np.testing.assert_array_equal(bits(x), bits(y), err_msg=where)


def assert_near(got: Any, expected: Any, rtol: float) -> None:
    """As `assert_same` with `rtol` 0; else within it, or an ulp of bfloat16, of the largest value of the leaf."""
    if rtol == 0:
        assert_same(got, expected)
        return
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            assert_same(x, y)
            continue
        a, b = (np.asarray(v, np.float64) for v in (x, y))
        limit = max(rtol, 2 * float(jnp.finfo(x.dtype).eps))
        scale = float(np.max(np.abs(b), initial=0.0))
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * scale, err_msg=jax.tree_util.keystr(path))


def filled(tree: Any, seed: int) -> Any:
    """Random values in the dtypes of a state: floats of all bits but NaN, small integers."""
    rng = np.random.default_rng(seed)

    def fill(x: Any) -> Any:
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.key(seed)
        if jnp.issubdtype(x.dtype, jnp.floating):
            # Up to infinity: XLA:CPU sets the quiet bit of a signalling NaN in bfloat16 when it copies it.
            width = np.dtype(f"uint{8 * x.dtype.itemsize}")
            top = int(np.array(np.inf, x.dtype).view(width))
            raw = rng.integers(0, top, x.shape, width, endpoint=True)
            sign = rng.integers(0, 2, x.shape, width) << (8 * x.dtype.itemsize - 1)
            return jnp.asarray((raw | sign).view(x.dtype))
        return jnp.asarray(rng.integers(0, 2, x.shape), x.dtype)

    return jax.tree.map(fill, tree)
