"""Updates of one size: normalize, normalize_by_update_norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import jax

from optcc import base
from optcc.formula.definition import stateless

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

NormalizeState: TypeAlias = base.EmptyState


def normalize() -> base.GradientTransformationExtraArgs:
    """Divide the updates by their global norm: ``u = g / |g|``, NaN where that is 0. State: ``EmptyState()``."""
    return stateless("normalize", lambda b, updates, params: updates / b.global_norm(updates))


def normalize_by_update_norm(
    scale_factor: jax.typing.ArrayLike = 1.0, eps: jax.typing.ArrayLike = 1e-6
) -> base.GradientTransformationExtraArgs:
    """Give the updates the global norm ``scale_factor``: ``u = g / ((|g| + eps) / scale_factor)``.

    State: ``EmptyState()``.
    """

    def update(b: Builder, g: Tree, params: Tree | None, *, scale_factor: Scalar, eps: Scalar) -> Tree:
        return g / ((b.global_norm(g) + eps) / scale_factor)

    return stateless("normalize_by_update_norm", update, scale_factor=scale_factor, eps=eps)
