"""A row of the parity table, and schedules and masks for rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

Make = Callable[[Any], Any]


@dataclass(frozen=True)
class Row:
    """One chain: `make(lib)` builds it from `optcc` or from `optax`.

    `reduces`: it takes a norm, so it agrees to 1e-6 and not to a few ulps. `discrete`: it takes a sign, where one ulp
    before becomes a full step after, so its updates are compared where the value before the sign is not near zero.
    """

    name: str
    make: Make
    reduces: bool = False
    discrete: bool = False


def decay(lib: Any) -> Any:
    return lib.exponential_decay(0.1, 3, 0.7, transition_begin=1, staircase=True, end_value=0.01)


def warmup(lib: Any) -> Any:
    return lib.warmup_cosine_decay_schedule(0.01, 0.1, 3, 9, 0.02, 1.5)


def joined(lib: Any) -> Any:
    return lib.join_schedules(
        [
            lib.linear_schedule(0.01, 0.1, 3, 1),
            lib.polynomial_schedule(0.1, 0.01, 2.0, 4, 1),
            lib.constant_schedule(0.02),
        ],
        [3, 7],
    )


def not_scalars(tree: Any) -> Any:
    """A mask that selects the leaves with at least one dimension."""
    return jax.tree.map(lambda x: x.ndim > 0, tree)
