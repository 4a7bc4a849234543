"""Why XLA refused the arrays of a step: one was donated before, or one buffer was given twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from optcc.errors import DonationError, message

_TWICE = ("same buffer twice", "previously donated in the same call")
_GONE = ("has been deleted", "deleted or donated")


def explained(error: Exception, trees: Mapping[str, Any]) -> DonationError | None:
    """The error in the words of the caller's pytrees, by their names; None if it is about something else."""
    text = str(error)
    arrays = [
        (f"{name}{jax.tree_util.keystr(path)}", x)
        for name, tree in trees.items()
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
        if isinstance(x, jax.Array) and not isinstance(x, Tracer)
    ]
    if any(part in text for part in _TWICE):
        return _given_twice(arrays)
    if any(part in text for part in _GONE):
        return _donated_before(arrays)
    return None


def _given_twice(arrays: list[tuple[str, jax.Array]]) -> DonationError | None:
    known: dict[Any, str] = {}
    for name, x in arrays:
        first = known.setdefault(_buffer(x), name)
        if first != name:
            what = "a step overwrites state and parameters, but two of its arrays are one buffer"
            fix = "copy one of them, for instance with jnp.copy; step(..., donate=False) keeps what it is given"
            return DonationError(message(what, f"leaf {first} and leaf {name}", fix))
    return None


def _donated_before(arrays: list[tuple[str, jax.Array]]) -> DonationError | None:
    for name, x in arrays:
        if x.is_deleted():
            what = "this array was donated: an earlier step used its buffer for its results"
            fix = "go on with what the step returned, params, state = opt.step(grads, state, params); or donate=False"
            return DonationError(message(what, f"leaf {name}", fix))
    return None


def _buffer(x: jax.Array) -> Any:
    """What arrays that share memory have in common. A deleted one, or one on several devices, is known as an object."""
    if x.is_deleted() or len(x.sharding.device_set) > 1 or jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return "object", id(x)
    return "buffer", x.unsafe_buffer_pointer()
