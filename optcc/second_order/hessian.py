"""Hessian-vector products and the diagonal of the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from optcc.base import Params
from optcc.errors import message

LossFn = Callable[[Params, Any, Any], jax.Array]
"""A function of parameters, inputs and targets with a scalar value."""


def hvp(loss: LossFn, v: jax.typing.ArrayLike, params: Params, inputs: Any, targets: Any) -> Params:
    """Product of the Hessian of the loss with a vector, at the cost of a few gradients and without the matrix.

    It is the derivative of the gradient in the direction ``v`` (forward over reverse).

    Args:
      loss: function of parameters, inputs and targets with a scalar value.
      v: array ``(n,)``, in the order of `jax.flatten_util.ravel_pytree`.
      params: pytree of floating arrays, ``n`` entries in all.
      inputs: passed on.
      targets: passed on.

    Returns:
      A pytree like ``params``.

    Raises:
      ValueError: ``v`` has another shape.

    Reference: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6, 1994.
    """
    flat, unravel = ravel_pytree(params)
    direction = jnp.asarray(v, flat.dtype)
    if direction.shape != flat.shape:
        raise ValueError(
            message(
                f"hvp: v must have shape {flat.shape}, one entry per parameter, got {direction.shape}",
                fix="flatten a tree with jax.flatten_util.ravel_pytree",
            )
        )
    return jax.jvp(jax.grad(lambda p: loss(p, inputs, targets)), (params,), (unravel(direction),))[1]


def hessian_diag(loss: LossFn, params: Params, inputs: Any, targets: Any) -> jax.Array:
    """Diagonal of the Hessian of the loss: one `hvp` per parameter, all at once.

    Time and memory are those of ``n`` gradients: for small models.

    Args:
      loss: function of parameters, inputs and targets with a scalar value.
      params: pytree of floating arrays, ``n`` entries in all.
      inputs: passed on.
      targets: passed on.

    Returns:
      Array ``(n,)``, in the order of `jax.flatten_util.ravel_pytree`.
    """
    flat, _ = ravel_pytree(params)

    def entry(unit: jax.Array) -> jax.Array:
        product, _ = ravel_pytree(hvp(loss, unit, params, inputs, targets))
        return jnp.vdot(unit, product)

    return jax.vmap(entry)(jnp.eye(flat.size, dtype=flat.dtype))
