"""Arithmetic on pytrees, leaf by leaf.

Trees in one call have one structure, and leaves at one place broadcast and promote as the operator of `jax.numpy` does.
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike


def tree_add(tree_x: Any, tree_y: Any, *other_trees: Any) -> Any:
    """The sum of two or more trees, taken from left to right."""
    return jax.tree.map(lambda *leaves: reduce(operator.add, leaves), tree_x, tree_y, *other_trees)


def tree_sub(tree_x: Any, tree_y: Any) -> Any:
    """``tree_x - tree_y``."""
    return jax.tree.map(operator.sub, tree_x, tree_y)


def tree_mul(tree_x: Any, tree_y: Any) -> Any:
    """``tree_x * tree_y``."""
    return jax.tree.map(operator.mul, tree_x, tree_y)


def tree_div(tree_x: Any, tree_y: Any) -> Any:
    """``tree_x / tree_y``."""
    return jax.tree.map(operator.truediv, tree_x, tree_y)


def tree_scale(scalar: ArrayLike, tree: Any) -> Any:
    """``scalar * tree``, with one number for all leaves."""
    return jax.tree.map(lambda x: scalar * x, tree)


def tree_add_scale(tree_x: Any, scalar: ArrayLike, tree_y: Any) -> Any:
    """``tree_x + scalar * tree_y``, with one number for all leaves.

    A None in ``tree_x`` stays None, and what ``tree_y`` has there is not looked at.
    """
    factor = jnp.asarray(scalar)
    return jax.tree.map(lambda x, y: None if x is None else x + factor * y, tree_x, tree_y, is_leaf=lambda x: x is None)


def tree_conj(tree: Any) -> Any:
    """The complex conjugate; real leaves stay as they are."""
    return jax.tree.map(jnp.conj, tree)


def tree_real(tree: Any) -> Any:
    """The real part; a complex leaf becomes a real one."""
    return jax.tree.map(jnp.real, tree)


def tree_clip(tree: Any, min_value: ArrayLike | None = None, max_value: ArrayLike | None = None) -> Any:
    """Every element moved into ``[min_value, max_value]``; None is no bound."""
    return jax.tree.map(lambda x: jnp.clip(x, min_value, max_value), tree)


def tree_where(condition: ArrayLike, tree_x: Any, tree_y: Any) -> Any:
    """``tree_x`` where the condition holds, ``tree_y`` elsewhere.

    Args:
      condition: boolean, one value or an array that broadcasts against every leaf.
      tree_x: pytree of arrays.
      tree_y: pytree of the same structure.
    """
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), tree_x, tree_y)
