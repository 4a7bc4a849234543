"""Shapes from a pytree, or from a function that makes one, in a module of the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from optcc.base import PyTree
from optcc.errors import ParamsError, message
from optcc.user_code import UserCodeError, guarded, import_attribute, running_user_code


def load_attribute(module: str, attribute: str) -> Any:
    """The shapes of `module:attribute`. Raises ParamsError.

    A function is traced, not run, as by `jax.eval_shape`, so that a large model takes no memory; one that needs the
    values of its arrays is called. What the user's code prints goes to standard error.
    """
    where = f"{module}:{attribute}"
    try:
        with running_user_code():
            value = import_attribute(module, attribute, option="--params")
            if callable(value) and not _all_arrays(value):
                value = guarded(lambda: _shapes_from(value), f"calling {where}()", where)
    except UserCodeError as error:
        raise ParamsError(str(error)) from error.__cause__
    return jax.tree_util.tree_map_with_path(lambda path, x: _leaf_shape(where, path, x), value)


def _shapes_from(function: Callable[[], Any]) -> Any:
    def traced() -> Any:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype) if _is_shape(x) else x, function())

    try:
        return jax.eval_shape(traced)
    except jax.errors.JAXTypeError:  # the function looks at the values of its arrays
        return function()


def _leaf_shape(where: str, path: Any, leaf: Any) -> jax.ShapeDtypeStruct:
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        name = jax.tree_util.keystr(path)
        what = f"{type(leaf).__name__} is no array"
        raise ParamsError(message(what, f"{where}{name}", "give arrays, or jax.ShapeDtypeStruct"))
    try:
        return jax.ShapeDtypeStruct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype))
    except (TypeError, ValueError) as error:
        raise ParamsError(message(f"no parameter: {error}", f"{where}{jax.tree_util.keystr(path)}")) from None


def _all_arrays(tree: PyTree) -> bool:
    leaves = jax.tree.leaves(tree)
    return bool(leaves) and all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def _is_shape(x: object) -> bool:
    return isinstance(x, jax.ShapeDtypeStruct)
