"""Random pytrees, and keys for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike


def tree_split_key_like(rng_key: jax.Array, target_tree: Any) -> Any:
    """One random key for each leaf, in the structure of the tree; the keys are those of `jax.random.split`."""
    leaves, structure = jax.tree.flatten(target_tree)
    return jax.tree.unflatten(structure, jax.random.split(rng_key, len(leaves)))


def tree_random_like(
    rng_key: jax.Array,
    target_tree: Any,
    sampler: Callable[..., Any] = jax.random.normal,
    dtype: DTypeLike | None = None,
) -> Any:
    """Random numbers in the shapes of a tree, independent from leaf to leaf.

    Args:
      rng_key: random key, split into one for each leaf.
      target_tree: pytree of arrays, whose shapes, dtypes and explicit shardings are taken.
      sampler: function of a key, a shape and a dtype, such as the samplers of `jax.random`. One that takes
        ``out_sharding`` is given the leaf's.
      dtype: dtype of all leaves; None takes that of each leaf.
    """
    takes_sharding = "out_sharding" in inspect.signature(sampler).parameters

    def sample(leaf: Any, key: jax.Array) -> Any:
        extra = {"out_sharding": jax.typeof(leaf).sharding} if takes_sharding else {}
        return sampler(key, leaf.shape, dtype or leaf.dtype, **extra)

    return jax.tree.map(sample, target_tree, tree_split_key_like(rng_key, target_tree))


def tree_unwrap_random_key_data(input_tree: Any) -> Any:
    """The tree with typed random keys replaced by their raw data, integers, which can be saved and compared."""

    def unwrap(leaf: Any) -> Any:
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if is_key else leaf

    return jax.tree.map(unwrap, input_tree)
