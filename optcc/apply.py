"""Plain JAX on trees of updates."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from optcc import base
from optcc.sums import offered


def apply_updates(params: base.Params, updates: base.Updates) -> base.Params:
    """Add updates to parameters: ``p + u``, in the dtype of each parameter. A None parameter stays None.

    Where there is nothing to add, a parameter stays as it is: at None in the place of an update, or of a subtree of
    them, at an update of type float0, and where the parameter is a key or no array.
    """

    def at(update: Any, params: Any) -> Any:
        return params if update is None else jax.tree.map(added, params, update, is_leaf=_is_none)

    if any(x is None for x in jax.tree.leaves(updates, is_leaf=_is_none)):
        return jax.tree.map(at, updates, params, is_leaf=_is_none)
    return jax.tree.map(added, params, updates, is_leaf=_is_none)


def added(p: Any, u: Any) -> Any:
    """One parameter after its update."""
    if p is None or u is None or getattr(u, "dtype", None) == jax.dtypes.float0:
        return p
    if (total := offered(u, p)) is not None:
        return total
    dtype = getattr(p, "dtype", None)
    if callable(p) if dtype is None else jnp.issubdtype(dtype, jax.dtypes.extended):
        return p
    return jnp.asarray(p + u).astype(jnp.asarray(p).dtype)


def _is_none(x: Any) -> bool:
    return x is None
