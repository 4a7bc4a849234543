"""Tests on updates, by which a wrapper decides to leave a step out."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp

from optcc import base


class ShouldSkipUpdateFunction(Protocol):
    """Decides whether updates are left out of an accumulation over several steps."""

    def __call__(
        self, updates: base.Updates, gradient_step: jax.typing.ArrayLike, params: base.Params | None
    ) -> tuple[jax.typing.ArrayLike, base.PyTree]:
        """Whether to skip.

        Args:
          updates: the updates of this step.
          gradient_step: how many accumulated steps were taken so far, for instance for a bound that changes.
          params: the current parameters, if `update` was given them.

        Returns:
          A 0-d bool, True to skip; and a pytree of arrays that is kept in the state for the user to read.
        """
        ...


def skip_not_finite(
    updates: base.Updates, gradient_step: jax.typing.ArrayLike, params: base.Params | None
) -> tuple[jax.Array, base.PyTree]:
    """Skip updates with an infinite or NaN element; a `ShouldSkipUpdateFunction`.

    Returns:
      Whether there is such an element, a 0-d bool; and a dict of that, ``should_skip``, and of the number of such
      elements, ``num_not_finite``, a 0-d integer.
    """
    del gradient_step, params
    bad = jnp.sum(jnp.array([jnp.sum(~jnp.isfinite(u)) for u in jax.tree.leaves(updates)], dtype=int))
    should_skip = bad > 0
    return should_skip, {"should_skip": should_skip, "num_not_finite": bad}


def skip_large_updates(
    updates: base.Updates,
    gradient_step: jax.typing.ArrayLike,
    params: base.Params | None,
    max_squared_norm: jax.typing.ArrayLike,
) -> tuple[jax.Array, base.PyTree]:
    """Skip updates whose squared Euclidean norm, over all leaves, is not below a bound.

    With ``functools.partial(skip_large_updates, max_squared_norm=...)`` it is a `ShouldSkipUpdateFunction`.

    Returns:
      Whether the squared norm is ``max_squared_norm`` or more, or NaN, a 0-d bool; and a dict of that,
      ``should_skip``, and of the squared norm, ``norm_squared``.
    """
    del gradient_step, params
    norm_squared = jnp.sum(jnp.array([jnp.sum(u**2) for u in jax.tree.leaves(updates)]))
    # Not `>=`: a NaN is to be skipped, too.
    should_skip = ~(norm_squared < max_squared_norm)
    return should_skip, {"should_skip": should_skip, "norm_squared": norm_squared}
