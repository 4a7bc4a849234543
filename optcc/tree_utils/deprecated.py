"""Names that Optax 0.2.8 still answers to, with a warning that says the new one."""

from __future__ import annotations

import warnings
from typing import Any

import jax
from jax.typing import ArrayLike

from optcc.tree_utils.elementwise import tree_add_scale, tree_scale
from optcc.tree_utils.reductions import tree_norm


def tree_scalar_mul(scalar: ArrayLike, tree: Any) -> Any:
    """The former name of `tree_scale`."""
    _warn("tree_scalar_mul", "tree_scale")
    return tree_scale(scalar, tree)


def tree_add_scalar_mul(tree_x: Any, scalar: ArrayLike, tree_y: Any) -> Any:
    """The former name of `tree_add_scale`."""
    _warn("tree_add_scalar_mul", "tree_add_scale")
    return tree_add_scale(tree_x, scalar, tree_y)


def tree_l1_norm(tree: Any, *, ord: int | str | float = 1, squared: bool = False) -> jax.Array:  # noqa: A002
    """`tree_norm`, of the order 1 unless another one is given."""
    _warn("tree_l1_norm", "tree_norm(..., ord=1)")
    return tree_norm(tree, ord, squared)


def tree_l2_norm(tree: Any, *, ord: int | str | float = 2, squared: bool = False) -> jax.Array:  # noqa: A002
    """`tree_norm`, of the order 2 unless another one is given."""
    _warn("tree_l2_norm", "tree_norm")
    return tree_norm(tree, ord, squared)


def tree_linf_norm(tree: Any, *, ord: int | str | float = "inf", squared: bool = False) -> jax.Array:  # noqa: A002
    """`tree_norm`, of the order infinity unless another one is given."""
    _warn("tree_linf_norm", "tree_norm(..., ord=jnp.inf)")
    return tree_norm(tree, ord, squared)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"optcc.tree_utils.{old} is deprecated; use {new}", DeprecationWarning, stacklevel=3)
