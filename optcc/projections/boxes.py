"""Projections onto sets with bounds for each element: they clip."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def projection_non_negative(tree: Any) -> Any:
    """The closest tree without negative elements; the gradient at 0 is 0."""
    return jax.tree.map(jax.nn.relu, tree)


def projection_box(tree: Any, lower: Any, upper: Any) -> Any:
    """The closest tree with every element in ``[lower, upper]``.

    Args:
      tree: pytree of real arrays.
      lower: the least values: a number, or a pytree of arrays or numbers with the structure of ``tree`` or a prefix of
        it, which broadcast against the leaves.
      upper: the largest values, in the same way; not below ``lower``.
    """
    return jax.tree.map(jnp.clip, tree, jax.tree.broadcast(lower, tree), jax.tree.broadcast(upper, tree))


def projection_hypercube(tree: Any, scale: Any = 1) -> Any:
    """The closest tree with every element in ``[0, scale]``; ``scale`` is as the bounds of `projection_box`."""
    return projection_box(tree, 0, scale)


def projection_linf_ball(tree: Any, scale: Any = 1) -> Any:
    """The closest tree with every element in ``[-scale, scale]``; ``scale`` is as the bounds of `projection_box`."""
    return projection_box(tree, jax.tree.map(jnp.negative, scale), scale)
