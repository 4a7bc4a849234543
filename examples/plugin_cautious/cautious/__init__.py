"""Cautious updates for optcc, from outside its tree: an element moves only where update and gradient agree.

The mask of Liang et al. 2024 ("Cautious Optimizers") is an element's own affair, so the dialect's `map` holds it: no op
of its own is needed, the whole update is one sweep, and it runs natively.
"""

from __future__ import annotations

from typing import NamedTuple

from optcc.builder import Builder, GradientTransformation, Scalar, Tree, Updates, transformation


class CautiousLionState(NamedTuple):
    """State of `cautious_lion`: the moving average of the gradients."""

    mu: Updates


def cautious_lion(learning_rate: float, b1: float = 0.9, b2: float = 0.99) -> GradientTransformation:
    """Lion that leaves out the elements whose step would go against the gradient.

    Per element, with gradient ``g``::

        c  = b1 * mu + (1 - b1) * g
        u  = -learning_rate * sign(c)   where sign(c) * g > 0, else 0
        mu = b2 * mu + (1 - b2) * g

    Args:
      learning_rate: the size of a step, the same for every element.
      b1: the weight of the average in the direction, between 0 and 1.
      b2: the decay of the average, between 0 and 1.

    Returns:
      A transformation with the state ``CautiousLionState(mu)``, ``mu`` in the shapes and dtypes of the parameters.

    Sources: Chen et al. 2023, algorithm 2; Liang et al. 2024, without the rescaling by the share of elements that move.
    """

    def init(b: Builder, params: Tree) -> CautiousLionState:
        return CautiousLionState(b.zeros_like(params))

    def update(
        b: Builder,
        g: Tree,
        state: CautiousLionState,
        params: Tree | None,
        *,
        learning_rate: Scalar,
        b1: Scalar,
        b2: Scalar,
    ) -> tuple[Tree, CautiousLionState]:
        del params
        direction = b.sign(b1 * state.mu + (1 - b1) * g)
        step = b.where(direction * g > 0.0, -learning_rate * direction, 0.0)
        return step, CautiousLionState(b2 * state.mu + (1 - b2) * g)

    return transformation("cautious_lion", init, update, learning_rate=learning_rate, b1=b1, b2=b2)
