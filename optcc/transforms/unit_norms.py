"""Gradients against the units of a layer: adaptive_grad_clip and centralize."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import jax

from optcc import base
from optcc.errors import message
from optcc.formula.definition import stateless
from optcc.unit_clipping import unit_axes

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

AdaptiveGradClipState: TypeAlias = base.EmptyState


def adaptive_grad_clip(
    clipping: jax.typing.ArrayLike,
    eps: jax.typing.ArrayLike = 1e-3,
    axis: int | tuple[int, ...] | None = None,
) -> base.GradientTransformationExtraArgs:
    """Scale each unit of the gradient so that its norm is at most ``clipping`` times that of the unit's parameters.

    Per unit: ``u = g * min(1, clipping * max(|p|, eps) / |g|)``. A unit is what the axes ``axis`` span. By default that
    is the whole leaf if it has at most one axis longer than 1, axis 0 of a matrix or of a rank-3 leaf, and all axes but
    the last of a convolution kernel, of rank 4 or 5.

    State: ``EmptyState()``. Raises ValueError if ``update`` gets no parameters, for a leaf of rank 6 or more without
    ``axis``, and for an axis that a leaf has not. Source: Brock et al. 2021, equation 3.
    """

    def update(b: Builder, g: Tree, params: Tree | None, *, clipping: Scalar, eps: Scalar) -> Tree:
        params = b.require_params(params)
        leaves = zip(b.leaf_sets.paths(g.leaf_set), b.leaf_sets.shapes(g.leaf_set), strict=True)
        for path, shape in leaves:
            if axis is None and unit_axes(shape) is None:
                what = f"adaptive_grad_clip does not know the units of a leaf of rank {len(shape)}"
                raise ValueError(message(what, f"{b.where_in_chain}, leaf {path!r}", "say which axes span one: axis="))
            wrong = [a for a in _as_tuple(axis) if not -max(len(shape), 1) <= a < max(len(shape), 1)]
            if wrong:
                what = f"adaptive_grad_clip was given the axis {wrong[0]}, but a leaf has the shape {list(shape)}"
                raise ValueError(message(what, f"{b.where_in_chain}, leaf {path!r}", "mask it, or give another axis="))
        units = b.axes("units", g.leaf_set, lambda shape: _kept_axes(shape, axis))

        def norm(tree: Tree) -> Tree:
            return b.sqrt(b.reduce_leaves(b.abs_sq(tree), extent=units))

        g_norm, limit = norm(g), clipping * b.maximum(norm(params), eps)
        factor = b.where(g_norm < limit, 1.0, limit / b.maximum(g_norm, 1e-6))
        return b.cast_like(g * factor, g)

    return stateless("adaptive_grad_clip", update, clipping=clipping, eps=eps)


def _kept_axes(shape: Sequence[int], axis: int | tuple[int, ...] | None) -> list[int]:
    rank = len(shape)
    if axis is None:
        folded = unit_axes(shape)
        assert folded is not None
    else:
        folded = [a % max(rank, 1) for a in _as_tuple(axis)]
    return [a for a in range(rank) if a not in folded]


def _as_tuple(axis: int | tuple[int, ...] | None) -> tuple[int, ...]:
    return () if axis is None else (axis,) if isinstance(axis, int) else axis


def centralize() -> base.GradientTransformationExtraArgs:
    """Subtract from each slice along the first axis its mean: ``u = g - mean(g over the other axes)``.

    Leaves of rank 0 and 1 stay as they are. State: ``EmptyState()``. Source: Yong et al. 2020, equation 1.
    """

    def update(b: Builder, g: Tree, params: Tree | None) -> Tree:
        chosen = [len(shape) > 1 for shape in b.leaf_sets.shapes(g.leaf_set)]
        matrices, others = b.split(g, chosen)
        slices = b.axes("slices", matrices.leaf_set, lambda shape: [0])
        return b.join(matrices - b.mean(matrices, slices), others, g.leaf_set)

    return stateless("centralize", update)
