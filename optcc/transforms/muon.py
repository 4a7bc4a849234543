"""Muon: orthogonalized momentum for matrices, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.errors import TreeMismatchError, did_you_mean, message
from optcc.formula.definition import stateless, transformation
from optcc.newton_schulz import (
    MatrixView,
    MuonDimensionNumbers,
    Preconditioning,
    check_preconditioning,
    orthogonalize,
)
from optcc.transforms.combining import chain
from optcc.transforms.label_groups import partition
from optcc.transforms.moments import DType, bias_correction, canonical, update_moment
from optcc.transforms.optimizers import adamw
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import GroupedLeaves, Scalar, Tree

Coefficients = Any
"""Three numbers, or rows of three."""
DimensionNumbers = MuonDimensionNumbers | base.PyTree | Callable[[base.Params], base.PyTree] | None
"""`MuonDimensionNumbers` or None, for Adam, for every leaf: a prefix of the parameters, or a function to one."""

STANDARD = (3.4445, -4.775, 2.0315)
PRESETS: dict[str, Coefficients] = {
    "standard": STANDARD,
    "dion": (
        (4.0848, -6.8946, 2.9270),
        (3.9505, -6.3029, 2.6377),
        (3.7418, -5.5913, 2.3037),
        (2.8769, -3.1427, 1.2046),
        (2.8366, -3.0525, 1.2012),
    ),
}


class MuonState(NamedTuple):
    """The number of steps taken, a 0-d int32, the moment, and the coefficients of the iterations."""

    count: base.Count
    mu: base.Updates
    ns_coeffs: jax.typing.ArrayLike


def scale_by_muon(
    ns_coeffs: Coefficients = STANDARD,
    ns_steps: int = 5,
    beta: jax.typing.ArrayLike = 0.95,
    eps: jax.typing.ArrayLike = 1e-8,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: Preconditioning = "frobenius",
    weight_dimension_numbers: DimensionNumbers = None,
) -> base.GradientTransformationExtraArgs:
    """Orthogonalize the first moment of each matrix.

    Per leaf, at step t = 1, 2, ...: ``mu <- (1 - beta) * g + beta * mu``; with ``nesterov``, ``m = beta * mu / (1 -
    beta**(t + 1)) + (1 - beta) * g / (1 - beta**t)``, else ``m = mu / (1 - beta**t)``; and u is m after ``ns_steps``
    Newton-Schulz iterations, times the sum of ``m * u`` if ``adaptive``. ``ns_coeffs`` has three numbers, or a row of
    three for each iteration, of which the last ``ns_steps`` are used. ``weight_dimension_numbers`` says which axes are
    the matrix; the axes 0 and 1 by default.

    State: ``MuonState(count, mu, ns_coeffs)``, ``mu`` of ``mu_dtype`` if given. Raises ValueError for coefficients of
    another shape, fewer iterations than rows, an unknown ``preconditioning``, and leaves of rank below 2. Source:
    Jordan et al. 2024.
    """
    check_preconditioning(preconditioning)
    dtype, coefficients = canonical(mu_dtype), _coefficients(ns_coeffs, ns_steps)

    def init(b: Builder, params: Tree) -> MuonState:
        from optcc.importers.foreign import opaque_leaf_set

        array = jnp.asarray(coefficients)
        leaf_set, dtypes = opaque_leaf_set(b, "ns_coeffs", jax.ShapeDtypeStruct(array.shape, array.dtype))
        kept = b.call("ns_coeffs", lambda: [[jnp.asarray(coefficients)]], [], [(leaf_set, dtypes)])[0]
        return MuonState(b.integer(0), b.zeros_like(params, dtype), kept)

    def update(b: Builder, g: Tree, state: Any, params: Tree | None, *, beta: Scalar, eps: Scalar):
        mu = update_moment(g, state.mu, beta)
        count = b.increment(state.count)
        if nesterov:
            ahead = bias_correction(b, mu, beta, b.increment(count))
            m = beta * ahead + (1 - beta) * bias_correction(b, g, beta, count)
        else:
            m = bias_correction(b, mu, beta, count)
        views = _views(b, m, weight_dimension_numbers)

        def call(arrays: Sequence[Any], kept: Sequence[Any], eps: Any) -> list[list[Any]]:
            return [orthogonalize(arrays, views, kept[0], ns_steps, preconditioning, eps)]

        u = b.call("newton_schulz", call, [m, state.ns_coeffs, eps], [(m.leaf_set, m.dtypes)])[0]
        if adaptive:
            u = (m * u).sum_per_leaf() * u
        return u, MuonState(count, mu, state.ns_coeffs)

    return transformation("scale_by_muon", init, update, beta=beta, eps=eps)


def scale_by_shape(
    weight_dimension_numbers: DimensionNumbers = None, consistent_rms: jax.typing.ArrayLike | None = None
) -> base.GradientTransformationExtraArgs:
    """Scale each matrix of rows n and columns m by ``sqrt(max(1, m / n))``, or ``consistent_rms * sqrt(max(n, m))``.

    State: ``EmptyState()``. Raises ValueError for leaves of rank below 2.
    """

    def factor(view: MatrixView) -> float:
        if consistent_rms is not None:
            return float(np.sqrt(max(view.rows, view.columns)))
        return float(np.sqrt(max(1.0, view.columns / view.rows))) if view.rows else 1.0

    def update(b: Builder, g: Tree, params: Tree | None, **hypers: Scalar) -> Tree:
        factors = [factor(view) for view in _views(b, g, weight_dimension_numbers)]
        single: GroupedLeaves = b.leaf_sets.reshaped(g.leaf_set, "factor", lambda shape: ())
        dtypes = dict.fromkeys(single.groups, np.dtype(np.float32))

        def call() -> list[list[Any]]:
            return [[jnp.float32(x) for x in factors]]

        scale = b.cast_like(b.reshape(b.call("shapes", call, [], [(single, dtypes)])[0], g.leaf_set, b.PER_LEAF), g)
        return (scale if consistent_rms is None else scale * hypers["consistent_rms"]) * g

    hypers: dict[str, Any] = {} if consistent_rms is None else {"consistent_rms": consistent_rms}
    return stateless("scale_by_shape", update, base.EmptyState, **hypers)


def muon(
    learning_rate: base.ScalarOrSchedule,
    ns_coeffs: Coefficients | str = STANDARD,
    ns_steps: int = 5,
    beta: jax.typing.ArrayLike = 0.95,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule = 0.0,
    weight_decay_mask: base.MaskOrFn = None,
    mu_dtype: DType | None = None,
    *,
    nesterov: bool = True,
    adaptive: bool = False,
    preconditioning: Preconditioning = "frobenius",
    adam_b1: jax.typing.ArrayLike = 0.9,
    adam_b2: jax.typing.ArrayLike = 0.999,
    adam_eps_root: jax.typing.ArrayLike = 0.0,
    adam_weight_decay: base.ScalarOrSchedule = 0.0,
    adam_learning_rate: base.ScalarOrSchedule | None = None,
    muon_weight_dimension_numbers: DimensionNumbers = None,
    consistent_rms: jax.typing.ArrayLike | None = None,
) -> base.GradientTransformationExtraArgs:
    """Muon for matrices, `adamw` for all other leaves.

    A matrix is by default a leaf of rank 2; ``muon_weight_dimension_numbers`` chooses the leaves, a prefix of the
    parameters with `MuonDimensionNumbers`, or None for AdamW, or a function from the parameters to one. For matrices
    the chain is `scale_by_muon`, a factor by the shape, weight decay, minus the learning rate. That factor is
    ``sqrt(max(1, columns / rows))``, or with ``consistent_rms`` that times ``sqrt(max(columns, rows))``; 0.2 gives
    updates of the size of Adam's. ``ns_coeffs`` may be the name of a set: ``"standard"`` or ``"dion"``. Matrices of one
    shape run as one batch.

    State: ``PartitionState`` with the labels ``"muon"`` and ``"adam"``. Raises ValueError for an unknown set and as
    `scale_by_muon`. Source: Jordan et al. 2024; Liu et al. 2025 for ``consistent_rms``.
    """
    if isinstance(ns_coeffs, str):
        if ns_coeffs not in PRESETS:
            what = f"Unknown ns_coeff preset string: {ns_coeffs}"
            raise ValueError(message(what, "muon", did_you_mean(ns_coeffs, PRESETS) or f"one of {', '.join(PRESETS)}"))
        ns_coeffs = PRESETS[ns_coeffs]
    numbers = MuonDimensionNumbers() if muon_weight_dimension_numbers is None else muon_weight_dimension_numbers

    orthogonal = scale_by_muon(
        ns_coeffs,
        ns_steps,
        beta,
        eps,
        mu_dtype,
        nesterov=nesterov,
        adaptive=adaptive,
        preconditioning=preconditioning,
        weight_dimension_numbers=numbers,
    )
    matrices = chain(
        orthogonal,
        scale_by_shape(numbers, consistent_rms),
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_learning_rate(learning_rate),
    )
    rate = learning_rate if adam_learning_rate is None else adam_learning_rate
    others = adamw(rate, adam_b1, adam_b2, eps, adam_eps_root, mu_dtype, adam_weight_decay, nesterov=nesterov)
    return partition({"muon": matrices, "adam": others}, lambda params: _labels(muon_weight_dimension_numbers, params))


def _labels(numbers: DimensionNumbers, params: base.Params) -> base.PyTree:
    """Whose each leaf is: Muon's where there are dimension numbers, by default of rank 2, else Adam's."""
    if numbers is None:
        return jax.tree.map(lambda x: "muon" if x.ndim == 2 else "adam", params)

    def below(own: MuonDimensionNumbers | None, subtree: base.PyTree) -> base.PyTree:
        return jax.tree.map(lambda _: "adam" if own is None else "muon", subtree)

    return jax.tree.map(below, _given(numbers, params), params, is_leaf=_is_numbers)


def _coefficients(given: Coefficients, steps: int) -> Any:
    """The coefficients, of as many rows as there are iterations at most. Raises ValueError."""
    shape = np.shape(given)
    if len(shape) not in (1, 2) or shape[-1] != 3:
        raise ValueError(message(f"ns_coeffs must have shape (3,) or (n, 3), got {shape}", "muon"))
    if len(shape) == 2 and shape[0] > steps:
        what = f"Not enough coeffs to perform {steps} steps: there are {shape[0]} rows"
        raise ValueError(message(what, "muon", f"ns_steps={shape[0]}, or fewer rows"))
    return given


def _is_numbers(x: Any) -> bool:
    return x is None or isinstance(x, MuonDimensionNumbers)


def _given(numbers: DimensionNumbers, params: base.PyTree) -> base.PyTree:
    return numbers(params) if callable(numbers) else numbers


def _views(b: Builder, tree: Tree, numbers: DimensionNumbers) -> list[MatrixView]:
    """How each leaf is a batch of matrices, in tree order."""
    from optcc.importers.foreign import as_shapes

    shapes = as_shapes(b, tree)
    given = MuonDimensionNumbers() if numbers is None else _given(numbers, shapes)
    found: list[MatrixView] = []

    def leaf(own: Any, below: Any) -> Any:
        for shape in jax.tree.leaves(below):
            found.append(MatrixView.of(shape.shape, own or MuonDimensionNumbers(), b.where_in_chain))

    try:
        jax.tree.map(leaf, given, shapes, is_leaf=lambda x: _is_numbers(x) or isinstance(x, base.MaskedNode))
    except ValueError as error:
        if "rank >= 2" in str(error) or "disjoint" in str(error):
            raise
        what = f"the dimension numbers are no prefix of the parameters: {error}"
        raise TreeMismatchError(message(what, b.where_in_chain, "make them with jax.tree.map")) from None
    return found
