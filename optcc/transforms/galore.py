"""GaLore: another optimizer on low-rank projections of the gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.base import OptState, PyTree
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.functions_given import is_function
from optcc.transforms.combining import chain
from optcc.transforms.moments import scale_by_adam
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class GaLoreDimensionNumbers(NamedTuple):
    """Which axes of a weight are the rows of a matrix and which its columns: each an axis or several, all of them."""

    reduction_axis: Sequence[int] | int = 0
    output_axis: Sequence[int] | int = 1


class GaLoreState(NamedTuple):
    """The number of steps taken, a 0-d int32, the inner state over projected gradients, and the projections.

    A projection is ``[rows, rank]``, or ``[columns, rank]`` of a matrix with fewer rows than columns, and ``[0, 0]``
    of a leaf that is not projected.
    """

    count: base.Count
    base_optimizer_state: base.OptState
    projector: base.Updates


DimensionNumbers = Any
"""`GaLoreDimensionNumbers`, a pytree of them and None, or a function from the parameters to one."""


class _View(NamedTuple):
    """How one weight is a matrix, and how it is projected."""

    order: tuple[int, ...]
    rows: int
    columns: int
    rank: int

    @property
    def shapes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Of the projected gradient and of the projection."""
        if self.rows >= self.columns:
            return (self.rank, self.columns), (self.rows, self.rank)
        return (self.rows, self.rank), (self.columns, self.rank)

    def matrix(self, x: jax.Array) -> jax.Array:
        return x.transpose(self.order).reshape(self.rows, self.columns)

    def basis(self, x: jax.Array) -> jax.Array:
        """The singular vectors of the largest singular values, on the longer side."""
        u, _, v = jnp.linalg.svd(self.matrix(x).astype(jnp.float32), full_matrices=False)
        chosen = u[:, : self.rank] if self.rows >= self.columns else v[: self.rank].T
        return chosen.astype(x.dtype)

    def project(self, x: jax.Array, basis: jax.Array) -> jax.Array:
        return basis.T @ self.matrix(x) if self.rows >= self.columns else self.matrix(x) @ basis

    def back(self, low: jax.Array, basis: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """A projected update as one of the weight's shape."""
        flat = basis @ low if self.rows >= self.columns else low @ basis.T
        inverse = sorted(range(len(shape)), key=lambda i: self.order[i])
        return flat.reshape([shape[a] for a in self.order]).transpose(inverse)


def scale_by_galore(
    rank: int = 128,
    update_proj_gap: jax.typing.ArrayLike = 200,
    scale: jax.typing.ArrayLike = 1.0,
    base_optimizer: base.GradientTransformation | None = None,
    weight_dimension_numbers: DimensionNumbers = None,
) -> base.GradientTransformationExtraArgs:
    """Apply a transformation to projections of the gradients, and project its updates back.

    The projection P of a matrix G has the singular vectors of the ``rank`` largest singular values, on the longer side,
    from the gradient of every ``update_proj_gap``-th step: ``u = scale * P inner(P^T G)``, or ``scale * inner(G P)
    P^T`` of a matrix with fewer rows than columns. ``inner`` is ``base_optimizer``, by default `scale_by_adam`; its
    moments are small. By default leaves of rank 2 are projected; the others go to it as they are.

    State: ``GaLoreState(count, base_optimizer_state, projector)``. Raises TypeError for a ``rank`` that is no int, and
    ValueError for one below 1, for a projected leaf of rank below 2, and for an axis that is in none or both of the
    dimension numbers. Source: Zhao et al. 2024, algorithm 2.
    """
    if not isinstance(rank, int):
        raise TypeError(message(f"`rank` must be an int, got {type(rank).__name__}", "galore"))
    if rank <= 0:
        raise ValueError(message(f"`rank` must be positive, got {rank}", "galore"))
    child = definition_of(scale_by_adam() if base_optimizer is None else base_optimizer)

    def init(b: Builder, params: Tree) -> Any:
        low, bases = (_zeros(b, name, params, rank, weight_dimension_numbers) for name in ("projected", "projector"))
        return GaLoreState(b.integer(0), b.initialize(0, child, low), bases)

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, *, update_proj_gap: Scalar, scale: Scalar):
        views = _views(b, g, rank, weight_dimension_numbers)
        due = b.remainder(state.count, b.cast_scalar(update_proj_gap, np.int32)).equals(0)
        low_set, low_dtypes = _leaf_set(b, "projected", g, rank, weight_dimension_numbers)

        def project(taken: PyTree, grads: Sequence[Any], old: Sequence[Any]) -> list[list[Any]]:
            def leaf(view: _View | None, x: Any, basis: Any) -> tuple[Any, Any]:
                if view is None:
                    return x, basis
                basis = jax.lax.cond(taken, lambda: view.basis(x).astype(basis.dtype), lambda: basis)
                return view.project(x, basis).astype(x.dtype), basis

            pairs = [leaf(*given) for given in zip(views, grads, old, strict=True)]
            return [[low for low, _ in pairs], [basis for _, basis in pairs]]

        results = [(low_set, low_dtypes), (state.projector.leaf_set, state.projector.dtypes)]
        low, bases = b.call("project", project, [due, g, state.projector], results)
        low, inner = b.apply(0, child, low, state.base_optimizer_state, None)
        shapes = [x.shape for x in b.shapes(g)]

        def back(lows: Sequence[Any], bases: Sequence[Any]) -> list[list[Any]]:
            found = zip(views, lows, bases, shapes, b.shapes(g), strict=True)
            return [[(x if v is None else v.back(x, basis, s)).astype(like.dtype) for v, x, basis, s, like in found]]

        full = b.call("project_back", back, [low, bases], [(g.leaf_set, g.dtypes)])[0]
        projected = [view is not None for view in views]
        on, off = b.split(full, projected)
        u = b.join(b.cast_like(scale * on, on), off, g.leaf_set)
        return u, GaLoreState(b.increment(state.count), inner, bases)

    hypers = {"update_proj_gap": update_proj_gap, "scale": scale}
    return as_pair(Definition("scale_by_galore", init, update, hypers, children=(child,)))


def galore(
    learning_rate: base.ScalarOrSchedule,
    rank: int = 128,
    update_proj_gap: jax.typing.ArrayLike = 200,
    scale: jax.typing.ArrayLike = 1.0,
    base_optimizer: base.GradientTransformation | None = None,
    weight_decay: base.ScalarOrSchedule = 0.0,
    mask: base.MaskOrFn = None,
    weight_dimension_numbers: DimensionNumbers = None,
) -> base.GradientTransformationExtraArgs:
    """GaLore: `scale_by_galore`, which documents the arguments, weight decay, then minus the learning rate.

    State: ``(GaLoreState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``. Source: Zhao et al. 2024,
    algorithm 2.
    """
    return chain(
        scale_by_galore(rank, update_proj_gap, scale, base_optimizer, weight_dimension_numbers),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def _numbers(given: DimensionNumbers, shapes: base.PyTree) -> base.PyTree:
    """The dimension numbers of every leaf, or None."""
    if given is None:
        return jax.tree.map(lambda x: GaLoreDimensionNumbers() if len(x.shape) == 2 else None, shapes)
    if isinstance(given, GaLoreDimensionNumbers):
        return jax.tree.map(lambda x: given if len(x.shape) >= 2 else None, shapes)
    return given(shapes) if is_function(given) else given


def _views(b: Builder, tree: Tree, rank: int, given: DimensionNumbers) -> list[_View | None]:
    """How each leaf is projected, in tree order; None where it is not."""
    from optcc.importers.foreign import as_shapes

    shapes = as_shapes(b, tree)
    found: list[_View | None] = []

    def leaf(own: GaLoreDimensionNumbers | None, below: PyTree) -> None:
        found.extend(None if own is None else _view(x.shape, own, rank) for x in jax.tree.leaves(below))

    def is_leaf(x: Any) -> bool:
        return x is None or isinstance(x, GaLoreDimensionNumbers | base.MaskedNode)

    jax.tree.map(leaf, _numbers(given, shapes), shapes, is_leaf=is_leaf)
    return found


def _view(shape: tuple[int, ...], numbers: GaLoreDimensionNumbers, rank: int) -> _View:
    if len(shape) < 2:
        raise ValueError(message(f"GaLore requires tensors with rank >= 2, got shape {shape}", "galore"))
    sides = [[a % len(shape) for a in ((axis,) if isinstance(axis, int) else axis)] for axis in numbers]
    if set(sides[0]) & set(sides[1]):
        what = f"Reduction axes {sides[0]} and output axes {sides[1]} must be disjoint, of shape {shape}"
        raise ValueError(message(what, "galore"))
    if len({*sides[0], *sides[1]}) != len(shape):
        what = f"All axes must be specified. Got reduction={sides[0]}, output={sides[1]} of shape {shape}"
        raise ValueError(message(what, "galore"))
    rows, columns = (math.prod(shape[a] for a in axes) for axes in sides)
    return _View((*sides[0], *sides[1]), rows, columns, min(rank, rows, columns))


def _leaf_set(b: Builder, name: str, like: Tree, rank: int, given: DimensionNumbers) -> Any:
    """The leaves of the projected gradients, or of the projections, in the dtypes of a tree."""
    from optcc.importers.foreign import opaque_leaf_set

    own = b.shapes(like)
    made: list[Any] = []
    for view, x in zip(_views(b, like, rank, given), own, strict=True):
        projected, basis = (x.shape, (0, 0)) if view is None else view.shapes
        made.append(jax.ShapeDtypeStruct(projected if name == "projected" else basis, x.dtype))
    return opaque_leaf_set(b, name, jax.tree.unflatten(like.leaf_set.structure, made))


def _zeros(b: Builder, name: str, like: Tree, rank: int, given: DimensionNumbers) -> Tree:
    leaf_set, dtypes = _leaf_set(b, name, like, rank, given)
    return b.full(leaf_set, 0.0, dtypes)
