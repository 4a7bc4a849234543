"""The formulas of adam and radam in float64, with exact step-level numbers; and what a library gives for them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import optcc

GRADIENTS = [0.3, -0.01, 0.2, 0.25, -0.3]


def power(decay: float, count: int) -> float:
    """``1 - decay**count``, from the decay as Python has it."""
    with localcontext() as context:
        context.prec = 60
        return float(1 - Decimal(decay) ** count)


def adam(b1: float, b2: float) -> list[float]:
    """The updates of `scale_by_adam` without eps, in float64."""
    mu, nu, found = 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS * 8, 1):
        mu, nu = b1 * mu + (1 - b1) * g, b2 * nu + (1 - b2) * g * g
        found.append(mu / power(b1, t) / np.sqrt(nu / power(b2, t)))
    return found


def radam(b1: float, b2: float, threshold: float) -> list[float]:
    """The updates of `scale_by_radam` without eps; the rectification in exact arithmetic."""
    mu, nu, found = 0.0, 0.0, []
    with localcontext() as context:
        context.prec = 60
        b = Decimal(b2)
        last = 2 / (1 - b) - 1
        for t, g in enumerate(GRADIENTS * 8, 1):
            mu, nu = b1 * mu + (1 - b1) * g, b2 * nu + (1 - b2) * g * g
            m = mu / power(b1, t)
            length = last - 2 * t * b**t / (1 - b**t)
            if length < threshold:
                found.append(m)
                continue
            squared = (length - 4) * (length - 2) * last / ((last - 4) * (last - 2) * length)
            found.append(float(squared.sqrt()) * m / np.sqrt(nu / power(b2, t)))
    return found


def updater(tx: Any, params: Any, backend: str) -> Callable[..., Any]:
    return jax.jit(tx.update if backend == "pair" else optcc.compile(tx, params, backend=backend).update)  # type: ignore[arg-type]


def trajectory(tx: Any, backend: str) -> list[float]:
    params = {"w": jnp.ones(5)}
    update, state, found = updater(tx, params, backend), tx.init(params), []
    for g in GRADIENTS * 8:
        updates, state = update({"w": jnp.full(5, g)}, state, params)
        found.append(float(updates["w"][0]))
    return found
