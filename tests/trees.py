"""Trees and comparisons that several test files use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Leaves:
    """A pytree of shapes, and its name in the ids of tests."""

    name: str
    shapes: Any

    def fill(self, seed: int, dtype: Any = jnp.float32, *, mixed: bool = False, front: int = 0) -> Any:
        """Normal values; with `mixed`, every other leaf is bfloat16; with `front`, behind an axis of that size."""
        rng = np.random.default_rng(seed)
        shapes, structure = jax.tree.flatten(self.shapes, is_leaf=lambda x: isinstance(x, tuple))
        lead = (front,) if front else ()
        dtypes = [jnp.bfloat16 if mixed and i % 2 else dtype for i in range(len(shapes))]
        return jax.tree.unflatten(
            structure, [jnp.asarray(rng.normal(size=lead + s), d) for s, d in zip(shapes, dtypes, strict=True)]
        )


SHAPES = {
    "scalar": (),
    "empty": (0, 3),
    "one": (1,),
    "vector": (7,),
    "odd": (3, 5),
    "deep": {"w": (2, 3, 4), "b": (5,)},
}
RAGGED = Leaves("ragged", SHAPES)
"""0-d, empty, 1-element and odd shapes, nested."""

_RANKS: Shapes = {
    "tall": (9, 4),
    "wide": (3, 11),
    "square": (5, 5),
    "line": (1, 6),
    "one": (1,),
    "vector": (7,),
    "cube": (4, 3, 4),
    "kernel": (3, 2, 4, 5),
    "volume": (2, 3, 1, 4, 3),
}
AXES = Leaves("axes", _RANKS)
"""Leaves of rank 1 to 5: tall, wide and square, with ties for the largest axis and with axes of size 1."""
WITH_EMPTY = Leaves("with_empty", _RANKS | {"scalar": (), "empty": (0, 3)})
NO_VECTORS = Leaves(
    "no_vectors", {name: shape for name, shape in _RANKS.items() if len(shape) > 1} | {"six": (2, 1, 3, 2, 1, 2)}
)
FEW = Leaves("few", {"scalar": (), "empty": (0, 3), "vector": (7,), "kernel": (3, 2, 4, 5)})
"""For random numbers, which take long to compile."""


def ragged(seed: int, dtype: Any = jnp.float32, *, mixed: bool = False) -> Any:
    """`RAGGED` with normal values; with `mixed`, every other leaf is bfloat16."""
    return RAGGED.fill(seed, dtype, mixed=mixed)


def matrices_only(tree: Any) -> Any:
    """A mask that selects the leaves with more than one dimension."""
    return jax.tree.map(lambda x: x.ndim > 1, tree)


def widen(tree: Any) -> Any:
    """bfloat16 leaves as float32."""
    return jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, tree)


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
