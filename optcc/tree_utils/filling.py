"""Trees with the structure of another one: constants, casts, copies along a batch."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from optcc.errors import message


def tree_zeros_like(tree: Any, dtype: DTypeLike | None = None) -> Any:
    """Zeros in the shapes of a tree, in the dtypes of its leaves unless ``dtype`` is given."""
    return jax.tree.map(lambda x: jnp.zeros_like(x, dtype=dtype), tree)


def tree_ones_like(tree: Any, dtype: DTypeLike | None = None) -> Any:
    """Ones in the shapes of a tree, in the dtypes of its leaves unless ``dtype`` is given."""
    return jax.tree.map(lambda x: jnp.ones_like(x, dtype=dtype), tree)


def tree_full_like(tree: Any, fill_value: ArrayLike, dtype: DTypeLike | None = None) -> Any:
    """One value in the shapes of a tree, in the dtypes of its leaves unless ``dtype`` is given."""
    return jax.tree.map(lambda x: jnp.full_like(x, fill_value, dtype=dtype), tree)


def tree_batch_shape(tree: Any, shape: tuple[int, ...] = ()) -> Any:
    """Every leaf repeated along new leading axes: a leaf ``[...]`` becomes ``[*shape, ...]``.

    For instance the state of one optimizer becomes that of many, to be mapped over with `jax.vmap`.
    """
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (*shape, *jnp.shape(x))), tree)


def tree_cast(tree: Any, dtype: DTypeLike | None) -> Any:
    """Every leaf in the dtype ``dtype``; None leaves the tree as it is."""
    return tree if dtype is None else jax.tree.map(lambda x: jnp.asarray(x).astype(dtype), tree)


def tree_cast_like(tree: Any, other_tree: Any) -> Any:
    """Every leaf in the dtype that the other tree has at its place; a leaf without a dtype there changes nothing."""
    return jax.tree.map(lambda x, y: x.astype(y.dtype) if hasattr(y, "dtype") else x, tree, other_tree)


def tree_dtype(tree: Any, mixed_dtype_handler: str | None = None) -> DTypeLike:
    """The dtype of the leaves of a tree.

    Args:
      tree: pytree of arrays or numbers. Without leaves the dtype is that of `jax.numpy.asarray` of an empty list.
      mixed_dtype_handler: what a tree of several dtypes gives. None: an error; ``"promote"``: the smallest dtype that
        all promote to; ``"highest"``: the one of them that all others promote to; ``"lowest"``: the one of them that
        promotes to all others.

    Raises:
      ValueError: the dtypes differ without a handler; two dtypes cannot be ordered, such as bfloat16 and float16; or
        the handler is unknown.
    """
    handlers = {None: _the_only, "promote": jnp.promote_types, "highest": _higher, "lowest": _lower}
    if mixed_dtype_handler not in handlers:
        raise ValueError(
            message(
                f"dtype: Invalid value for mixed_dtype_handler={mixed_dtype_handler!r}",
                fix='use None, "promote", "highest" or "lowest"',
            )
        )
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    dtypes = [jnp.asarray(leaf).dtype for _, leaf in leaves]
    if not dtypes:
        return jnp.asarray([]).dtype
    if mixed_dtype_handler is None and len(set(dtypes)) > 1:
        places = [jax.tree_util.keystr(path) or "the leaf" for path, _ in leaves]
        found = "; ".join(f"{place}: {dtype}" for place, dtype in zip(places, dtypes, strict=True))
        raise ValueError(
            message(
                f"dtype: Expected dtype={dtypes[0]} for every leaf",
                where=found,
                fix='cast the tree, or choose with mixed_dtype_handler="promote", "highest" or "lowest"',
            )
        )
    return reduce(handlers[mixed_dtype_handler], dtypes)


def _the_only(first: Any, _: Any) -> Any:
    return first


def _lower(first: Any, second: Any) -> Any:
    wide = jnp.promote_types(first, second)
    if wide not in (first, second):
        raise ValueError(
            message(
                f"dtype: Cannot compare dtype {first} with {second}: neither promotes to the other",
                fix='use mixed_dtype_handler="promote"',
            )
        )
    return second if wide == first else first


def _higher(first: Any, second: Any) -> Any:
    return second if _lower(first, second) == first else first
