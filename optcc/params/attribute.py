"""Shapes from a pytree, or from a function that makes one, in a module of the user."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import jax
import jax.numpy as jnp

from optcc.errors import ParamsError, did_you_mean, message


def load_attribute(module: str, attribute: str) -> Any:
    """The shapes of `module:attribute`. Raises ParamsError.

    A function is traced, not run, as by `jax.eval_shape`, so that a large model takes no memory; one that needs the
    values of its arrays is called. What the user's code prints goes to standard error.
    """
    where = f"{module}:{attribute}"
    with _current_directory_importable(), redirect_stdout(sys.stderr):
        value: Any = _import(module)
        for part in attribute.split("."):
            if not hasattr(value, part):
                hint = did_you_mean(part, [name for name in dir(value) if not name.startswith("_")])
                raise ParamsError(message(f"there is no attribute '{part}'", where, hint))
            value = getattr(value, part)
        if callable(value) and not _all_arrays(value):
            value = _guarded(lambda: _shapes_from(value), f"calling {where}()", where)
    return jax.tree_util.tree_map_with_path(lambda path, x: _leaf_shape(where, path, x), value)


def _import(module: str) -> Any:
    def load() -> Any:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or f"{module}.".startswith(f"{error.name}."):
                fix = "it is looked for in the current directory and in the environment"
                raise ParamsError(
                    message(f"there is no module '{error.name}'", f"--params {module}:...", fix)
                ) from None
            raise

    return _guarded(load, f"importing {module}", f"--params {module}:...")


def _guarded(work: Callable[[], Any], doing: str, where: str) -> Any:
    """Run code of the user; what it raises becomes a ParamsError that names the line."""
    try:
        return work()
    except ParamsError:
        raise
    except (Exception, SystemExit) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else where
        raise ParamsError(message(f"{doing} raised {type(error).__name__}: {error}", place)) from error


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


def _all_arrays(tree: Any) -> bool:
    leaves = jax.tree.leaves(tree)
    return bool(leaves) and all(hasattr(leaf, "shape") and hasattr(leaf, "dtype") for leaf in leaves)


def _is_shape(x: Any) -> bool:
    return isinstance(x, jax.ShapeDtypeStruct)


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
