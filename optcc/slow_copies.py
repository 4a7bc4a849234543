"""Copies of the parameters that follow them slowly: averages and target networks."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from optcc import base


def incremental_update(
    new_tensors: base.Params, old_tensors: base.Params, step_size: jax.typing.ArrayLike
) -> base.Params:
    """One step of a moving average: ``step_size * new + (1 - step_size) * old``, leaf by leaf.

    Args:
      new_tensors: the current parameters. A None stays None.
      old_tensors: the average so far, of the same structure and shapes.
      step_size: weight of the new values, between 0 and 1.

    Returns:
      The new average, in the dtype that the two promote to.

    Source: Polyak and Juditsky 1992.
    """

    def leaf(new: jax.typing.ArrayLike | None, old: jax.typing.ArrayLike):
        return None if new is None else step_size * new + (1.0 - step_size) * old

    return jax.tree.map(leaf, new_tensors, old_tensors, is_leaf=lambda x: x is None)


def periodic_update(
    new_tensors: base.Params,
    old_tensors: base.Params,
    steps: jax.typing.ArrayLike,
    update_period: jax.typing.ArrayLike,
) -> base.Params:
    """The new values where ``steps`` is a multiple of ``update_period``, else the old ones.

    A select and not a branch, so that a donated copy is overwritten in place.

    Args:
      new_tensors: the current parameters.
      old_tensors: the copy so far, of the same structure, shapes and dtypes.
      steps: the number of steps taken, an integer.
      update_period: after how many steps the copy is renewed, an integer.

    Returns:
      The copy after this step.

    Source: Mnih et al. 2015 (target networks).
    """
    renew = jnp.mod(steps, update_period) == 0
    return jax.tree.map(lambda new, old: jnp.where(renew, new, old), new_tensors, old_tensors)
