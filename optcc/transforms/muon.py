"""Muon: orthogonalized momentum for matrices, AdamW for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.base import OptState, PyTree
from optcc.errors import TreeMismatchError, did_you_mean, message
from optcc.formula.definition import stateless, transformation
from optcc.functions_given import is_function
from optcc.matrix_views import MatrixView, MuonDimensionNumbers, Preconditioning, check_preconditioning
from optcc.transforms.combining import chain
from optcc.transforms.label_groups import partition
from optcc.transforms.moments import DType, bias_correction, canonical, update_moment
from optcc.transforms.optimizers import adamw
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree
    from optcc.transforms.orthogonalization import Row

Coefficients = Any
"""Three numbers, or rows of three."""
DimensionNumbers = MuonDimensionNumbers | base.PyTree | Callable[[base.Params], base.PyTree] | None
"""`MuonDimensionNumbers` or None, for Adam, for every leaf: a prefix of the parameters, or a function to one."""

STANDARD = (3.4445, -4.775, 2.0315)
_POLAR_EXPRESS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
    (1.891301407787398, -1.2679958271945868, 0.37680408948524835),
    (1.8750014808534479, -1.2500016453999487, 0.3750001645474248),
    (1.875, -1.25, 0.375),
)
_SAFETY = 1.01
"""By how much singular values may pass 1 by rounding: what the polynomials of Polar Express are stretched by."""
ROWS: dict[str, tuple[tuple[float, float, float], ...]] = {
    "polar_express": (
        *((a / _SAFETY, b / _SAFETY**3, c / _SAFETY**5) for a, b, c in _POLAR_EXPRESS[:-1]),
        _POLAR_EXPRESS[-1],
    ),
    "deepseek": (*(STANDARD,) * 8, (2.0, -1.5, 0.5)),
    "cubic": ((1.5, -0.5, 0.0),),
}
"""Sets of which any number of iterations takes the first rows, and the last row for all that follow.

Sources: Amsel et al. 2025 (Polar Express); DeepSeek-V4, whose ten steps end with two that converge; the classic
iteration of Newton and Schulz, of third order.
"""
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
    gram_from: float | None = None,
) -> base.GradientTransformationExtraArgs:
    """Orthogonalize the first moment of each matrix.

    Per leaf, at step t = 1, 2, ...: ``mu <- (1 - beta) * g + beta * mu``; with ``nesterov``, ``m = beta * mu / (1 -
    beta**(t + 1)) + (1 - beta) * g / (1 - beta**t)``, else ``m = mu / (1 - beta**t)``; and u is m after ``ns_steps``
    Newton-Schulz iterations, times the sum of ``m * u`` if ``adaptive``. ``ns_coeffs`` has three numbers, or a row of
    three for each iteration, of which the last ``ns_steps`` are used. ``weight_dimension_numbers`` says which axes are
    the matrix; the axes 0 and 1 by default. Matrices of which the longer side is at least ``gram_from`` times the
    shorter one, from 1.5 on, take fewer operations by products of the short side only, which round otherwise.

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

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, *, beta: Scalar, eps: Scalar):
        from optcc.transforms.orthogonalization import orthogonalize

        mu = update_moment(g, state.mu, beta)
        count = b.increment(state.count)
        if nesterov:
            ahead = bias_correction(b, mu, beta, b.increment(count))
            m = beta * ahead + (1 - beta) * bias_correction(b, g, beta, count)
        else:
            m = bias_correction(b, mu, beta, count)
        views = _views(b, m, weight_dimension_numbers)
        u = orthogonalize(b, m, views, _rows(b, state.ns_coeffs, ns_steps), preconditioning, eps, gram_from)
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

    def update(b: Builder, g: Tree, params: Tree | None, **hypers: Scalar) -> Tree:
        views = dict(zip(g.leaf_set.leaves, _views(b, g, weight_dimension_numbers), strict=True))
        without_columns = {i: sorted(view.axes[0] + view.axes[1]) for i, view in views.items()}
        without_rows = {i: sorted(view.axes[0] + view.axes[2]) for i, view in views.items()}
        columns = b.count(g, b.axes("without_columns", g.leaf_set, without_columns))
        rows = b.count(g, b.axes("without_rows", g.leaf_set, without_rows))
        if consistent_rms is None:
            return b.sqrt(b.maximum(columns / rows, 1.0)) * g
        return b.sqrt(b.maximum(columns, rows)) * hypers["consistent_rms"] * g

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
    gram_from: float | None = None,
) -> base.GradientTransformationExtraArgs:
    """Muon for matrices, `adamw` for all other leaves.

    A matrix is by default a leaf of rank 2; ``muon_weight_dimension_numbers`` chooses the leaves, a prefix of the
    parameters with `MuonDimensionNumbers`, or None for AdamW, or a function from the parameters to one. For matrices
    the chain is `scale_by_muon`, a factor by the shape, weight decay, minus the learning rate. That factor is
    ``sqrt(max(1, columns / rows))``, or with ``consistent_rms`` that times ``sqrt(max(columns, rows))``; 0.2 gives
    updates of the size of Adam's. ``ns_coeffs`` may be the name of a set: ``"standard"``, ``"dion"``, or, for any
    ``ns_steps``, ``"polar_express"``, ``"deepseek"`` or ``"cubic"``. Matrices of one shape run as one batch.

    State: ``PartitionState`` with the labels ``"muon"`` and ``"adam"``. Raises ValueError for an unknown set and as
    `scale_by_muon`. Source: Jordan et al. 2024; Liu et al. 2025 for ``consistent_rms``.
    """
    if isinstance(ns_coeffs, str):
        ns_coeffs = _named(ns_coeffs, ns_steps)
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
        gram_from=gram_from,
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


def _named(name: str, steps: int) -> Coefficients:
    """The coefficients of a named set. Raises ValueError for an unknown one."""
    if name in ROWS:
        rows = ROWS[name]
        return rows[:steps] + rows[-1:] * (steps - len(rows)) if steps else rows[0]
    if name not in PRESETS:
        known = (*PRESETS, *ROWS)
        fix = did_you_mean(name, known) or f"one of {', '.join(known)}"
        raise ValueError(message(f"Unknown ns_coeff preset string: {name}", "muon", fix))
    return PRESETS[name]


def _coefficients(given: Coefficients, steps: int) -> Any:
    """The coefficients, of as many rows as there are iterations at most. Raises ValueError."""
    shape = np.shape(given)
    if len(shape) not in (1, 2) or shape[-1] != 3:
        raise ValueError(message(f"ns_coeffs must have shape (3,) or (n, 3), got {shape}", "muon"))
    if len(shape) == 2 and shape[0] > steps:
        what = f"Not enough coeffs to perform {steps} steps: there are {shape[0]} rows"
        raise ValueError(message(what, "muon", f"ns_steps={shape[0]}, or fewer rows"))
    return given


def _rows(b: Builder, kept: Tree, steps: int) -> list[Row]:
    """The coefficients of each iteration: those of the state, or its one row for all."""
    numbers = b.unpack(kept)
    rows = [(numbers[i], numbers[i + 1], numbers[i + 2]) for i in range(0, len(numbers), 3)]
    return rows * steps if len(rows) == 1 else rows


def _is_numbers(x: Any) -> bool:
    return x is None or isinstance(x, MuonDimensionNumbers)


def _given(numbers: DimensionNumbers, params: base.PyTree) -> base.PyTree:
    return numbers(params) if is_function(numbers) else numbers


def _views(b: Builder, tree: Tree, numbers: DimensionNumbers) -> list[MatrixView]:
    """How each leaf is a batch of matrices, in tree order."""
    from optcc.importers.foreign import as_shapes

    shapes = as_shapes(b, tree)
    given = MuonDimensionNumbers() if numbers is None else _given(numbers, shapes)
    found: list[MatrixView] = []

    def leaf(own: Any, below: PyTree) -> Any:
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
