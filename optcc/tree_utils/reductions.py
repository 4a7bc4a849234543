"""Numbers of a whole pytree: sums, products, extremes, norms."""

from __future__ import annotations

import operator
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from optcc.errors import message
from optcc.numerics import abs_sq


def tree_sum(tree: Any, associative_reduction: bool = False) -> ArrayLike:
    """The sum of all elements; 0 for a tree without leaves.

    Args:
      tree: pytree of arrays or numbers.
      associative_reduction: add the sums of the leaves in pairs rather than one after the other. The rounding errors
        then grow with the logarithm of the number of leaves, not with the number.
    """
    sums = jax.tree.map(jnp.sum, tree)
    if associative_reduction:
        return jax.tree.reduce_associative(operator.add, sums, identity=0)
    return jax.tree.reduce(operator.add, sums, initializer=0)


def tree_vdot(tree_x: Any, tree_y: Any) -> ArrayLike:
    """The inner product ``sum(conj(x) * y)`` over all elements, in the highest precision of the device.

    Args:
      tree_x: pytree of arrays; its complex leaves are conjugated.
      tree_y: pytree of the same structure and shapes.

    Raises:
      ValueError: two leaves at one place differ in shape.
    """

    def leaf(x: ArrayLike, y: ArrayLike) -> jax.Array:
        x, y = jnp.asarray(x), jnp.asarray(y)
        if x.shape != y.shape:
            raise ValueError(
                message(f"vdot: leaves at one place have the shapes {x.shape} and {y.shape}", fix="broadcast one first")
            )
        # Contracted in place: jax.numpy.vdot flattens first, which arrays with explicit sharding do not allow.
        return jnp.tensordot(jnp.conj(x), y, x.ndim, precision=jax.lax.Precision.HIGHEST)

    return jax.tree.reduce(operator.add, jax.tree.map(leaf, tree_x, tree_y), initializer=0)


def tree_max(tree: Any) -> ArrayLike:
    """The largest element; minus infinity for a tree without elements."""
    return reduce(jnp.maximum, [jnp.max(x) for x in _with_elements(tree)], -jnp.inf)


def tree_min(tree: Any) -> ArrayLike:
    """The smallest element; infinity for a tree without elements."""
    return reduce(jnp.minimum, [jnp.min(x) for x in _with_elements(tree)], jnp.inf)


def tree_size(tree: Any) -> int:
    """The number of elements of all leaves."""
    return sum(jnp.size(leaf) for leaf in jax.tree.leaves(tree))


def tree_norm(tree: Any, ord: int | str | float | None = None, squared: bool = False) -> jax.Array:  # noqa: A002
    """The norm of all elements as one vector.

    Args:
      tree: pytree of real or complex arrays. With ``ord`` 1 or infinity the gradient at 0 is that of `jax.numpy.abs`.
      ord: 2 or None for the root of the sum of squares, 1 for the sum of absolute values, ``jnp.inf``, ``"inf"`` or
        ``"infinity"`` for the largest absolute value.
      squared: return the square of the norm. For the 2-norm no root is taken, so that the gradient exists at 0.

    Returns:
      A real 0-d array, of the dtype that the leaves promote to.

    Raises:
      ValueError: another ``ord``.
    """
    if ord is None or ord == 2:
        squares = jnp.asarray(tree_sum(jax.tree.map(abs_sq, tree)))
        return squares if squared else jnp.sqrt(squares)
    if ord == 1:
        norm = tree_sum(jax.tree.map(jnp.abs, tree))
    elif ord in (jnp.inf, "inf", "infinity"):
        norm = tree_max(jax.tree.map(jnp.abs, tree))
    else:
        raise ValueError(message(f"norm: Unsupported ord: {ord}", fix="use 1, 2, None or jax.numpy.inf"))
    return jnp.square(norm) if squared else jnp.asarray(norm)


def tree_allclose(a: Any, b: Any, rtol: ArrayLike = 1e-5, atol: ArrayLike = 1e-8, equal_nan: bool = False) -> ArrayLike:
    """Whether ``|a - b| <= atol + rtol * |b|`` for every element; True for trees without leaves.

    Args:
      a: pytree of arrays.
      b: pytree of the same structure.
      rtol: relative tolerance.
      atol: absolute tolerance.
      equal_nan: take NaN as equal to NaN.
    """
    leaves = jax.tree.map(lambda x, y: jnp.allclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan), a, b)
    return reduce(operator.and_, jax.tree.leaves(leaves), True)


def _with_elements(tree: Any) -> list[ArrayLike]:
    """The leaves that have a largest element at all."""
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.size(leaf) > 0]
