"""Trees, comparisons and random chains that several test files use."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SHAPES = {
    "scalar": (),
    "empty": (0, 3),
    "one": (1,),
    "vector": (7,),
    "odd": (3, 5),
    "deep": {"w": (2, 3, 4), "b": (5,)},
}
"""A ragged tree: 0-d, empty, 1-element and odd shapes, nested."""


def ragged(seed: int, dtype: Any = jnp.float32, *, mixed: bool = False) -> Any:
    """Random values in the shapes of `SHAPES`; with `mixed`, every other leaf is bfloat16."""
    rng = np.random.default_rng(seed)
    leaves, structure = jax.tree.flatten(SHAPES, is_leaf=lambda x: isinstance(x, tuple))
    dtypes = [jnp.bfloat16 if mixed and i % 2 else dtype for i in range(len(leaves))]
    return jax.tree.unflatten(
        structure, [jnp.asarray(rng.normal(size=s), dtype=d) for s, d in zip(leaves, dtypes, strict=True)]
    )


def matrices_only(tree: Any) -> Any:
    """A mask that selects the leaves with more than one dimension."""
    return jax.tree.map(lambda x: x.ndim > 1, tree)


def ulps(a: Any, b: Any) -> float:
    """The largest difference between two arrays of one dtype, in units in the last place of the larger value."""
    assert a.dtype == b.dtype, f"{a.dtype} is not {b.dtype}"
    assert a.shape == b.shape, f"{a.shape} is not {b.shape}"
    if not jnp.issubdtype(a.dtype, jnp.floating):
        return 0.0 if bool(jnp.all(a == b)) else float("inf")
    if a.size == 0:
        return 0.0
    info = jnp.finfo(a.dtype)
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if np.any(np.isnan(x) != np.isnan(y)):
        return float("inf")
    x, y = np.nan_to_num(x), np.nan_to_num(y)
    magnitude = np.maximum(np.maximum(np.abs(x), np.abs(y)), float(info.tiny))
    spacing = np.exp2(np.floor(np.log2(magnitude))) * float(info.eps)
    return float(np.max(np.abs(x - y) / spacing))


def assert_close(got: Any, expected: Any, *, limit: float, what: str = "") -> None:
    """Every leaf within `limit` ulps of its dtype."""
    a, b = jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected)
    assert len(a) == len(b), f"{what}: {len(a)} leaves, expected {len(b)}"
    for (path, x), y in zip(a, b, strict=True):
        error = ulps(jnp.asarray(x), jnp.asarray(y))
        assert error <= limit, f"{what}{jax.tree_util.keystr(path)}: {error} ulps apart\n{x}\n{y}"


def assert_relative(got: Any, expected: Any, *, rtol: float, what: str = "") -> None:
    """Every leaf within `rtol`, relative to the largest value of the leaf."""
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(got), jax.tree.leaves(expected), strict=True):
        assert jnp.asarray(x).dtype == jnp.asarray(y).dtype, f"{what}{jax.tree_util.keystr(path)}"
        a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
        scale = max(float(np.max(np.abs(b), initial=0.0)), 1e-30)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=f"{what}{jax.tree_util.keystr(path)}")
