"""Projections onto balls, lines and planes of the Euclidean norm."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.tree_utils.elementwise import tree_add_scale, tree_scale
from optcc.tree_utils.reductions import tree_norm, tree_vdot


def projection_l2_sphere(tree: Any, scale: ArrayLike = 1) -> Any:
    """The closest tree of the norm ``scale``: ``scale / |tree| * tree``, taken as one vector.

    A tree of zeros has no closest one; the result is not finite.
    """
    return tree_scale(scale / tree_norm(tree), tree)


def projection_l2_ball(tree: Any, scale: ArrayLike = 1) -> Any:
    """The closest tree of a norm of at most ``scale``, taken as one vector.

    Inside the ball it is returned unchanged, to the last bit; the gradient exists at zero.
    """
    squared_norm = tree_norm(tree, squared=True)
    is_inside = squared_norm <= jnp.square(scale)
    norm = jnp.sqrt(jnp.where(is_inside, 1.0, squared_norm))
    return tree_scale(jnp.where(is_inside, 1.0, scale / norm), tree)


def projection_vector(x: Any, a: Any) -> Any:
    """The multiple of ``a`` that is closest to ``x``: ``<x, a> / <a, a> * a``.

    Args:
      x: pytree of arrays, taken as one vector.
      a: pytree of the same structure and shapes, not all zeros.
    """
    return tree_scale(tree_vdot(x, a) / tree_vdot(a, a), a)


def projection_hyperplane(x: Any, a: Any, b: ArrayLike) -> Any:
    """The tree closest to ``x`` among those with ``<a, x> = b``.

    Args:
      x: pytree of arrays, taken as one vector.
      a: the normal of the plane: a pytree of the same structure and shapes, not all zeros.
      b: one number.
    """
    return tree_add_scale(x, jnp.subtract(b, tree_vdot(x, a)) / tree_vdot(a, a), a)


def projection_halfspace(x: Any, a: Any, b: ArrayLike) -> Any:
    """The tree closest to ``x`` among those with ``<a, x> <= b``; arguments as in `projection_hyperplane`."""
    return tree_add_scale(x, jnp.minimum(jnp.subtract(b, tree_vdot(x, a)) / tree_vdot(a, a), 0), a)
