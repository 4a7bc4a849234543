"""Plain JAX on trees of updates."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from optcc import base


def apply_updates(params: base.Params, updates: base.Updates) -> base.Params:
    """Add updates to parameters: ``p + u``, in the dtype of each parameter. A None parameter stays None."""

    def leaf(p: jax.typing.ArrayLike | None, u: jax.typing.ArrayLike):
        return None if p is None else jnp.asarray(p + u).astype(jnp.asarray(p).dtype)

    return jax.tree.map(leaf, params, updates, is_leaf=lambda x: x is None)
