"""Projections onto the simplex, and onto the ball and the sphere of the sum of absolute values."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike

from optcc.tree_utils.elementwise import tree_mul
from optcc.tree_utils.reductions import tree_norm


@jax.custom_jvp
def project_to_simplex(values: jax.Array, scale: ArrayLike = 1.0) -> jax.Array:
    """The point closest to an array ``[n]`` among those with entries not negative and of the sum ``scale``.

    It is ``max(values - t, 0)``, where ``t`` is found from the sorted values.

    Source: Duchi et al., *Efficient Projections onto the l1-Ball for Learning in High Dimensions*, 2008, figure 1.
    """
    if values.size == 0:
        return values
    # Relative to the largest value: the sums of large values would cancel.
    shifted = values - jnp.max(values)
    descending = jnp.sort(shifted)[::-1]
    excess = jnp.cumsum(descending) - scale
    lengths = jnp.arange(1, values.size + 1)
    # At least one: with a scale of 0 no value is above its threshold.
    support = jnp.maximum(1, jnp.count_nonzero(descending * lengths > excess))
    return jnp.maximum(shifted - excess[support - 1] / support.astype(excess.dtype), 0)


@project_to_simplex.defjvp
def _project_to_simplex_jvp(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[jax.Array, jax.Array]:
    """The support stays as it is: what one of its entries gains, all of them lose in equal parts."""
    projected = project_to_simplex(*primals)
    values_tangent, scale_tangent = tangents
    support = (projected > 0).astype(projected.dtype)
    size = jnp.maximum(1, jnp.sum(support))
    shift = (jnp.vdot(support, values_tangent) - scale_tangent) / size
    return projected, support * (values_tangent - shift)


def projection_simplex(tree: Any, scale: ArrayLike = 1) -> Any:
    """The closest tree with elements not negative and of the sum ``scale``: for 1 the closest probabilities.

    Args:
      tree: pytree of real arrays, taken as one vector.
      scale: the sum, one number, not negative.

    Source: Duchi et al., *Efficient Projections onto the l1-Ball for Learning in High Dimensions*, 2008, figure 1.
    """
    values, unravel = ravel_pytree(tree)
    return unravel(project_to_simplex(values, jnp.asarray(scale, values.dtype)))


def projection_l1_sphere(tree: Any, scale: ArrayLike = 1) -> Any:
    """The closest tree whose absolute values have the sum ``scale``.

    Args:
      tree: pytree of real arrays, taken as one vector. A zero that has to move becomes positive: it could move either
        way.
      scale: the sum, one number, not negative.

    Source: Duchi et al. 2008, section 4.
    """
    magnitudes = projection_simplex(jax.tree.map(jnp.abs, tree), scale)
    return tree_mul(jax.tree.map(lambda x: jnp.where(x < 0, -1, 1).astype(x.dtype), tree), magnitudes)


def projection_l1_ball(tree: Any, scale: ArrayLike = 1) -> Any:
    """The closest tree whose absolute values have a sum of at most ``scale``.

    Args:
      tree: pytree of real arrays, taken as one vector. Inside the ball it is returned as it is.
      scale: the largest sum, one number, not negative.

    Source: Duchi et al. 2008, section 4.
    """
    is_inside = tree_norm(tree, ord=1) <= scale
    return jax.lax.cond(is_inside, lambda t: t, lambda t: projection_l1_sphere(t, scale), tree)
