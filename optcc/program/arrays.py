"""Arrays and pytrees of the caller: shapes and dtypes, keys of random numbers, paths of leaves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from optcc.base import PyTree
from optcc.dialect import Leaf

Shape = jax.ShapeDtypeStruct
PyTreeDef: TypeAlias = Any
"""A structure of a pytree, `jax.tree_util.PyTreeDef`, which JAX gives no type of."""


def outside_trace(*values: Any) -> AbstractContextManager[Any]:
    """Where JAX computes at once even while it traces a user's function, unless one of the values is traced itself."""
    is_traced = any(isinstance(value, Tracer) for value in values)
    return nullcontext() if is_traced else jax.ensure_compile_time_eval()


def is_key(x: object) -> bool:
    """Whether an array, or a shape and dtype, is one of typed keys of random numbers."""
    # A state may hold a Python number that the user has put there. What numpy has a dtype for is no key, and soon told.
    dtype = getattr(x, "dtype", None)
    return dtype is not None and not isinstance(dtype, np.dtype) and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def keys_to_data(arrays: Sequence[jax.Array]) -> list[Any]:
    """Arrays as the IR's functions take them: of keys, the data."""
    return [jax.random.key_data(x) if is_key(x) else x for x in arrays]


def data_shapes(tree: PyTree) -> list[Shape]:
    """Shapes and dtypes of the `physical` arrays of a pytree of shapes and dtypes."""
    # Only keys are traced: for thousands of leaves that takes long.
    return [jax.eval_shape(jax.random.key_data, x) if is_key(x) else x for x in jax.tree.leaves(tree)]


def path_name(path: Any) -> str:
    """The path of a leaf as it is named in the IR and in errors: `layers.0.w`; empty for a bare array."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def leaf_table(tree: PyTree) -> list[Leaf]:
    """Path and shape of every leaf of a pytree of arrays; paths that would coincide get their position appended."""
    leaves, structure = jax.tree.flatten(tree)
    return [Leaf(path, tuple(x.shape)) for path, x in zip(leaf_paths(structure), leaves, strict=True)]


@lru_cache(maxsize=64)
def leaf_paths(structure: Any) -> tuple[str, ...]:
    """The unique path of every leaf of a structure. Making them is what costs most for thousands of leaves."""
    tree = jax.tree.unflatten(structure, range(structure.num_leaves))
    unique: dict[str, None] = {}
    for path, i in jax.tree_util.tree_leaves_with_path(tree):
        name = path_name(path)
        unique[name if name not in unique else f"{name}#{i}"] = None
    return tuple(unique)


def shapes_of(tree: PyTree) -> Any:
    """The pytree of shapes and dtypes of a pytree of arrays or Python numbers."""
    return jax.tree.map(shape_of, tree)


def shape_of(x: Any) -> Shape:
    """Shape and dtype of one array, as JAX sees it.

    Raises TypeError for something that is no array.
    """
    if hasattr(x, "dtype") and is_key(x):
        return Shape(x.shape, x.dtype)
    if isinstance(x, Shape):
        return Shape(x.shape, jax.dtypes.canonicalize_dtype(x.dtype))
    if hasattr(x, "shape") and hasattr(x, "dtype"):
        return Shape(np.shape(x), jax.dtypes.canonicalize_dtype(x.dtype))
    aval = jax.typeof(x)
    return Shape(aval.shape, aval.dtype)
