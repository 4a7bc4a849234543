"""Step sizes from the distance travelled and the gradients met: dog, dowg."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from optcc import base
from optcc.errors import did_you_mean, message
from optcc.formula.definition import transformation
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType
from optcc.transforms.scaling import add_decayed_weights, identity, scale_by_learning_rate
from optcc.transforms.step_scalars import narrowest, wide

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import GroupedLeaves, Scalar, Tree

InitStep = tuple[Literal["distance", "learning_rate", "heuristic"], jax.typing.ArrayLike]


class DoGState(NamedTuple):
    """Whether no step was taken yet, the first parameters, the largest distance, and the sum of squared norms."""

    is_init_step: Any
    init_params: base.Params
    max_dist: base.Number
    sum_sq_norm_grads: base.Number


class DoWGState(NamedTuple):
    """The first parameters, the weighted sum of squared norms, and the largest squared distance."""

    init_params: base.Params
    weighted_sq_norm_grads: base.Number
    estim_sq_dist: base.Number


class ScaleByDistanceOverGradientsState(NamedTuple):
    """For each leaf the largest distance, 0-d, and the sum of squared norms, of one element; the first parameters."""

    max_dist: base.PyTree
    grad_sum_of_squares: base.PyTree
    init_params: base.Params


def scale_by_dog(init_step: InitStep, eps: jax.typing.ArrayLike = 1e-8) -> base.GradientTransformationExtraArgs:
    """Scale by the largest distance from the start over the root of the sum of squared gradient norms.

    With norms over all leaves, ``r <- max(r, |p0 - p|)``, ``G <- G + |g|**2``, ``u = r / sqrt(G + eps) * g``. The first
    r is the value of ``init_step`` for ``"distance"``, that value times ``1 + |p0|`` for ``"heuristic"``, and 0 for
    ``"learning_rate"``, where the value is the first factor in place of ``r / sqrt(G + eps)``.

    State: ``DoGState(is_init_step, init_params, max_dist, sum_sq_norm_grads)``. Raises ValueError for another kind of
    first step and if ``update`` gets no parameters. Source: Ivgi et al. 2023, equation 1.
    """
    kind, first = init_step
    kinds = ("distance", "learning_rate", "heuristic")
    if kind not in kinds:
        what = f"the first part of init_step must be one of {kinds}, got {kind!r}"
        raise ValueError(message(what, "dog: invalid init_step specification", did_you_mean(str(kind), kinds)))

    def init(b: Builder, params: Tree) -> DoGState:
        dtype = narrowest(params)
        distance = b.hyper("init_step", first)
        if kind == "heuristic":
            distance = distance * (1 + b.global_norm(params))
        start = b.number(0.0, dtype, weak=False) if kind == "learning_rate" else b.cast_scalar(distance, dtype)
        return DoGState(b.number(1, bool, weak=False), params, start, b.number(0.0, dtype, weak=False))

    def update(b: Builder, g: Tree, state: DoGState, params: Tree | None, *, init_step: Scalar, eps: Scalar):
        distance = b.global_norm(state.init_params - b.require_params(params))
        largest = b.maximum(wide(b, state.max_dist), distance)
        total = wide(b, state.sum_sq_norm_grads) + b.abs_sq(g).sum()
        factor = largest / b.sqrt(total + eps)
        if kind == "learning_rate":
            factor = b.where(state.is_init_step, init_step, factor)
        return factor * g, DoGState(b.number(0, bool, weak=False), state.init_params, largest, total)

    return transformation("scale_by_dog", init, update, init_step=first, eps=eps)


def dog(
    learning_rate: base.ScalarOrSchedule = 1.0,
    init_step: InitStep = ("heuristic", 1e-6),
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule | None = None,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """DoG: weight decay into the gradient, the distance over gradients, then minus the learning rate.

    With norms over all leaves, ``u = -lr * max |p0 - p| / sqrt(sum |g|**2 + eps) * g``, maximum and sum over the steps
    so far. ``init_step`` says what the first distance is: ``("distance", x)`` x, ``("heuristic", x)`` ``x * (1 +
    |p0|)``; ``("learning_rate", x)`` gives the first step the factor x instead. State: ``(EmptyState or MaskedState,
    DoGState, EmptyState or ScaleByScheduleState)``. Raises ValueError for another ``init_step`` and if ``update`` gets
    no parameters. Source: Ivgi et al. 2023, equation 1.
    """
    return chain(_decay(weight_decay, mask), scale_by_dog(init_step, eps), scale_by_learning_rate(learning_rate))


def scale_by_dowg(
    init_estim_sq_dist: jax.typing.ArrayLike | None = None, eps: jax.typing.ArrayLike = 1e-4
) -> base.GradientTransformationExtraArgs:
    """Scale by the largest squared distance over the root of the sum of squared norms that it weights.

    With norms over all leaves, ``r <- max(r, |p0 - p|**2)``, ``v <- v + r * |g|**2``, ``u = r / (sqrt(v) + eps) * g``.
    The first r is ``init_estim_sq_dist``, or ``eps``. State: ``DoWGState(init_params, weighted_sq_norm_grads,
    estim_sq_dist)``. Raises ValueError if ``update`` gets no parameters. Source: Khaled et al. 2023, algorithm 1.
    """
    first = eps if init_estim_sq_dist is None else init_estim_sq_dist

    def init(b: Builder, params: Tree) -> DoWGState:
        dtype = narrowest(params)
        start = b.cast_scalar(b.hyper("init_estim_sq_dist", first), dtype)
        return DoWGState(params, b.number(0.0, dtype, weak=False), start)

    def update(b: Builder, g: Tree, state: DoWGState, params: Tree | None, *, eps: Scalar, **_: Scalar):
        distance = b.abs_sq(state.init_params - b.require_params(params)).sum()
        largest = b.maximum(wide(b, state.estim_sq_dist), distance)
        total = largest * b.abs_sq(g).sum() + wide(b, state.weighted_sq_norm_grads)
        return largest / (b.sqrt(total) + eps) * g, DoWGState(state.init_params, total, largest)

    return transformation("scale_by_dowg", init, update, init_estim_sq_dist=first, eps=eps)


def dowg(
    learning_rate: base.ScalarOrSchedule = 1.0,
    init_estim_sq_dist: jax.typing.ArrayLike | None = None,
    eps: jax.typing.ArrayLike = 1e-4,
    weight_decay: base.ScalarOrSchedule | None = None,
    mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """DoWG: weight decay into the gradient, the weighted distance over gradients, then minus the learning rate.

    With norms over all leaves, ``r <- max(r, |p0 - p|**2)``, ``v <- v + r * |g|**2``, ``u = -lr * r / (sqrt(v) + eps) *
    g``. The first r is ``init_estim_sq_dist``, or ``eps``. State: ``(EmptyState or MaskedState, DoWGState, EmptyState
    or ScaleByScheduleState)``. Raises ValueError if ``update`` gets no parameters. Source: Khaled et al. 2023,
    algorithm 1.
    """
    return chain(
        _decay(weight_decay, mask), scale_by_dowg(init_estim_sq_dist, eps), scale_by_learning_rate(learning_rate)
    )


def _decay(weight_decay: base.ScalarOrSchedule | None, mask: base.MaskOrFn) -> base.GradientTransformationExtraArgs:
    return identity() if weight_decay is None else add_decayed_weights(weight_decay, mask)


def scale_by_distance_over_gradients(
    reps_rel: jax.typing.ArrayLike = 1e-6,
    eps: jax.typing.ArrayLike = 1e-8,
    param_dtype: DType = jnp.float32,
    global_scale: jax.typing.ArrayLike = 1.0,
) -> base.GradientTransformationExtraArgs:
    """The distance over gradients of each leaf by itself.

    Per leaf, with its own norms: ``r <- max(r, |p0 - p|)``, at first ``reps_rel * (1 + |p0|)``; ``G <- G + |g|**2``;
    ``u = global_scale * r / sqrt(G + eps) * g``. State: ``ScaleByDistanceOverGradientsState(max_dist,
    grad_sum_of_squares, init_params)``, ``init_params`` in ``param_dtype``. Raises ValueError if ``update`` gets no
    parameters. Source: Ivgi et al. 2023, equation 1, for each layer.
    """

    def init(b: Builder, params: Tree) -> ScaleByDistanceOverGradientsState:
        first = b.hyper("reps_rel", reps_rel) * (1 + b.norm_per_leaf(params))
        single = _one_element(b, params.leaf_set)
        zeros = b.full(single, 0.0, dict.fromkeys(single.groups, jnp.dtype(jnp.float32)))
        return ScaleByDistanceOverGradientsState(first, zeros, b.cast(params, param_dtype))

    def update(
        b: Builder,
        g: Tree,
        state: ScaleByDistanceOverGradientsState,
        params: Tree | None,
        *,
        eps: Scalar,
        global_scale: Scalar,
        **_: Scalar,
    ):
        params = b.require_params(params)
        largest = b.maximum(b.real(state.max_dist), b.norm_per_leaf(params - state.init_params))
        kept = state.grad_sum_of_squares
        total = b.reshape(kept, params.leaf_set, b.PER_LEAF) + b.abs_sq(g).sum_per_leaf()
        u = global_scale * (largest / b.sqrt(total + eps)) * g
        new = b.reshape(total, kept.leaf_set)
        return u, ScaleByDistanceOverGradientsState(largest, new, state.init_params)

    return transformation(
        "scale_by_distance_over_gradients", init, update, reps_rel=reps_rel, eps=eps, global_scale=global_scale
    )


def _one_element(b: Builder, leaf_set: GroupedLeaves) -> GroupedLeaves:
    """Leaves of one element each, in the place of those of a set."""
    return b.leaf_sets.reshaped(leaf_set, "single", lambda shape: (1,))
