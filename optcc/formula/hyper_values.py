"""What may be the value of a hyperparameter, and in which form it enters a program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optcc.errors import message
from optcc.formula.definition import Definition
from optcc.formula.hyper_names import definitions, hyper_names

FIX = "what is no number is part of the program: write a chain with it and compile that"


def check_number(name: str, value: Any, where: str, fix: str = "") -> None:
    """Check the value of the hyperparameter `name`.

    Raises TypeError for one that is no real number, or has axes, and ValueError for an integer that no float holds.
    """
    is_number = isinstance(value, int | float | np.number | np.ndarray | jax.Array) and not isinstance(value, bool)
    if not is_number or np.shape(value) or not _is_real(value):
        is_array = isinstance(value, np.ndarray | jax.Array)
        got = f"{value.dtype}{list(value.shape)}" if is_array else repr(value)
        raise TypeError(message(f"hyperparameter {name!r} must be a number or a 0-d array, got {got}", where, fix))
    if isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            got = f"got an integer of {value.bit_length()} bits"
            what = f"hyperparameter {name!r} must be in the range of float64, {got}"
            raise ValueError(message(what, where)) from None


def _is_real(value: object) -> bool:
    dtype = value.dtype if isinstance(value, np.number | np.ndarray | jax.Array) else np.dtype(type(value))
    return bool(jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating))


def exact(value: Any) -> Any:
    """Integers of numpy as float64: JAX would make int32 of them, and wrap those that do not fit. All else as it is."""
    is_integer = isinstance(value, np.integer | np.ndarray) and value.dtype.kind in "iu"
    return np.float64(value) if is_integer else value


def check_definition(root: Definition) -> None:
    """Check the numbers of a chain. Raises as `check_number` does."""
    names = hyper_names(root)
    for path, definition in definitions(root):
        for name, value in definition.hypers.items():
            check_number(names[(*path, name)], value, definition.name, "pass a number, or a schedule where one may be")


def check_together(root: Definition, values: Mapping[str, Any]) -> None:
    """Check values by the names of `hyper_names` as the constructors do. Raises what they raise."""
    names = hyper_names(root)
    for path, definition in definitions(root):
        if definition.check is not None:
            own = {name: values.get(names[(*path, name)], old) for name, old in definition.hypers.items()}
            definition.check(own)
