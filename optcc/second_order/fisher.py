"""Diagonal of the Fisher information matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from optcc.base import Params


def fisher_diag(
    negative_log_likelihood: Callable[[Params, Any, Any], jax.Array], params: Params, inputs: Any, targets: Any
) -> jax.Array:
    """Diagonal of the observed Fisher information: the squared gradient of the negative log likelihood.

    Args:
      negative_log_likelihood: function of parameters, inputs and targets with a scalar value.
      params: pytree of floating arrays, ``n`` entries in all.
      inputs: passed on.
      targets: passed on.

    Returns:
      Array ``(n,)``, in the order of `jax.flatten_util.ravel_pytree`. The gradient is squared once, after the function
      has summed or averaged over examples: for a sum of squares over examples call it per example.
    """
    gradient, _ = ravel_pytree(jax.grad(negative_log_likelihood)(params, inputs, targets))
    return jnp.square(gradient)
