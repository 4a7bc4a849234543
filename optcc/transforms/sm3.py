"""Second moments kept as one bound for each axis: scale_by_sm3, and sm3 around it."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import jax

from optcc import base
from optcc.errors import message
from optcc.formula.definition import transformation
from optcc.transforms.combining import chain
from optcc.transforms.moments import update_moment
from optcc.transforms.scaling import scale

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import GroupedLeaves, Scalar, Tree, Zipped


class ScaleBySM3State(NamedTuple):
    """Bounds on the second moment, a list with one 1-d array for each axis of a leaf, and the first moment."""

    mu: base.Updates
    nu: base.Updates


def scale_by_sm3(
    b1: jax.typing.ArrayLike = 0.9, b2: jax.typing.ArrayLike = 1.0, eps: jax.typing.ArrayLike = 1e-8
) -> base.GradientTransformationExtraArgs:
    """Divide by the root of a second moment bounded by one number for each slice along each axis, then average.

    Per leaf, with ``w = 1 - b2``, or 1 if ``b2`` is 1::

        v = w * g**2 + b2 * min over the axes a of mu[a], each broadcast to the leaf
        mu[a] <- max of v over all axes but a
        nu <- (1 - b1) * g / sqrt(v + eps) + b1 * nu       (0 where v is 0)
        u = nu

    State: ``ScaleBySM3State(mu, nu)`` in the dtypes of the parameters. Raises ValueError for a complex leaf, and for a
    0-d one, which has no axis. Source: Anil et al. 2019, algorithm SM3-II.
    """

    def init(b: Builder, params: Tree) -> ScaleBySM3State:
        return ScaleBySM3State(_zero_covers(b, params), b.zeros_like(params))

    def update(b: Builder, g: Tree, state: ScaleBySM3State, params: Tree | None, **hypers: Scalar):
        b2 = hypers["b2"]
        weight = b.where(b2.equals(1.0), 1.0, 1.0 - b2)
        whole = state.mu.whole
        ranks = sorted({len(shape) for shape in b.leaf_sets.shapes(g.leaf_set)})
        if not ranks:
            return g, state
        v, covers = _by_rank(b, g, list(state.mu.values), ranks, weight, b2)
        scaled = g * b.where(v > 0.0, b.rsqrt(v + hypers["eps"]), 0.0)
        nu = update_moment(scaled, state.nu, hypers["b1"])
        return nu, ScaleBySM3State(type(state.mu)(whole, tuple(covers)), nu)

    return transformation("scale_by_sm3", init, update, b1=b1, b2=b2, eps=eps)


def _zero_covers(b: Builder, params: Tree) -> Zipped:
    from optcc.formula.values import Zipped

    b.require_real(params)
    shapes = b.leaf_sets.shapes(params.leaf_set)
    for shape, path in zip(shapes, b.leaf_sets.paths(params.leaf_set), strict=True):
        if not shape:
            what = "sm3 keeps one bound for each axis, but this leaf is 0-d"
            raise ValueError(message(what, f"{b.where_in_chain}, leaf {path!r}", "mask it, or give it the shape (1,)"))
    trees: list[Tree] = []
    for axis in range(max(map(len, shapes), default=0)):
        has_axis, _ = b.leaf_sets.partition(params.leaf_set, [len(s) > axis for s in shapes])
        stored = b.leaf_sets.reshaped(has_axis, f"axis_{axis}", lambda shape, axis=axis: (shape[axis],))
        trees.append(b.full(stored, 0.0, {k: params.dtypes[k] for k in stored.groups}))
    return Zipped(params.leaf_set, tuple(trees))


def _by_rank(
    b: Builder, g: Tree, covers: list[Tree], ranks: list[int], weight: Scalar, b2: Scalar
) -> tuple[Tree, list[Tree]]:
    """The second moments and the new bounds, leaves of one rank at a time."""
    rank, *higher = ranks
    if not higher:
        return _second_moment(b, g, covers, weight, b2)
    chosen = [len(shape) == rank for shape in b.leaf_sets.shapes(g.leaf_set)]
    here, rest = b.split(g, chosen)
    # A bound for an axis that the lowest rank has not belongs to the other leaves alone.
    pairs = [b.split(cover, chosen) for cover in covers[:rank]]
    v_here, new_here = _second_moment(b, here, [pair[0] for pair in pairs], weight, b2)
    v_rest, new_rest = _by_rank(b, rest, [*(pair[1] for pair in pairs), *covers[rank:]], higher, weight, b2)
    joined = [b.join(x, y, old.leaf_set) for x, y, old in zip(new_here, new_rest, covers, strict=False)]
    return b.join(v_here, v_rest, g.leaf_set), [*joined, *new_rest[rank:]]


def _second_moment(b: Builder, g: Tree, covers: list[Tree], weight: Scalar, b2: Scalar) -> tuple[Tree, list[Tree]]:
    axes = [b.axes(f"axis_{i}", g.leaf_set, lambda shape, i=i: [i]) for i in range(len(covers))]
    old = [b.reshape(cover, g.leaf_set, axis) for cover, axis in zip(covers, axes, strict=True)]
    v = weight * b.square(g) + b2 * reduce(b.minimum, old)
    stored: list[GroupedLeaves] = [cover.leaf_set for cover in covers]
    new = [b.reduce_leaves(v, b.MAX, axis) for axis in axes]
    return v, [b.reshape(bound, leaves) for bound, leaves in zip(new, stored, strict=True)]


def sm3(
    learning_rate: jax.typing.ArrayLike, momentum: jax.typing.ArrayLike = 0.9
) -> base.GradientTransformationExtraArgs:
    """SM3: `scale_by_sm3` with ``b1 = momentum``, then minus the learning rate, a number.

    State: ``(ScaleBySM3State, EmptyState)``. Source: Anil et al. 2019.
    """
    return chain(scale_by_sm3(momentum), scale(-learning_rate))  # type: ignore[operator]
