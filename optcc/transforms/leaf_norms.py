"""Transformations that take a norm of each leaf: scaling by the parameters' size, clipping by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

from optcc import base
from optcc.formula.definition import stateless

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

LEAST_NORMAL = 2.0**-126
"""Of float32."""


def _safe_sqrt(b: Builder, squared: Tree, smallest: Scalar) -> Tree:
    """The root of a number a leaf, raised to ``smallest``; its derivative is finite at zero."""
    is_small = b.sqrt(squared) <= smallest
    return b.where(is_small, smallest, b.sqrt(b.where(is_small, 1.0, squared)))


def scale_by_param_block_norm(min_scale: jax.typing.ArrayLike = 1e-3) -> base.GradientTransformationExtraArgs:
    """Multiply each leaf's update by the norm of its parameter: ``u = g * max(|p|, min_scale)``.

    State: ``EmptyState()``. Raises ValueError if ``update`` gets no parameters.
    """

    def update(b: Builder, g: Tree, params: Tree | None, *, min_scale: Scalar) -> Tree:
        squared = b.abs_sq(b.require_params(params)).sum_per_leaf()
        return g * _safe_sqrt(b, squared, min_scale)

    return stateless("scale_by_param_block_norm", update, min_scale=min_scale)


def scale_by_param_block_rms(min_scale: jax.typing.ArrayLike = 1e-3) -> base.GradientTransformationExtraArgs:
    """Multiply each leaf's update by the root mean square of its parameter: ``u = g * max(rms(p), min_scale)``.

    State: ``EmptyState()``. Raises ValueError if ``update`` gets no parameters. Source: Shazeer and Stern 2018,
    algorithm 4.
    """

    def update(b: Builder, g: Tree, params: Tree | None, *, min_scale: Scalar) -> Tree:
        mean_square = b.mean(b.abs_sq(b.require_params(params)))
        return g * _safe_sqrt(b, mean_square, min_scale)

    return stateless("scale_by_param_block_rms", update, min_scale=min_scale)


def clip_by_block_rms(threshold: jax.typing.ArrayLike) -> base.GradientTransformationExtraArgs:
    """Scale each leaf down so that its root mean square is at most ``threshold``.

    Per leaf: ``u = g / max(1, rms(g) / threshold)``, which is 0 for ``threshold = 0``. State: ``EmptyState()``. Source:
    Shazeer and Stern 2018, section 6.
    """

    def update(b: Builder, g: Tree, params: Tree | None, *, threshold: Scalar) -> Tree:
        rms = b.sqrt(b.mean(b.abs_sq(g)))
        rms = b.where(rms.equals(0.0), LEAST_NORMAL, rms)  # so that a threshold of 0 divides by infinity, not by 0 / 0
        return g / b.maximum(1.0, rms / threshold)

    return stateless("clip_by_block_rms", update, threshold=threshold)
