"""Second moments kept as rows and columns: scale_by_factored_rms, and adafactor around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from optcc import base
from optcc.formula.definition import transformation
from optcc.transforms.combining import chain
from optcc.transforms.leaf_norms import clip_by_block_rms, scale_by_param_block_rms
from optcc.transforms.moments import DType, ema
from optcc.transforms.scaling import add_decayed_weights, scale, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import GroupedLeaves, Scalar, Tree

Shape = tuple[int, ...]
DecayRateFn = Callable[[jax.typing.ArrayLike, jax.typing.ArrayLike], jax.typing.ArrayLike]


class FactoredState(NamedTuple):
    """The number of steps and the second moments: rows and columns of factored leaves, all elements of others.

    What a leaf does not use is an array of one zero.
    """

    count: base.Count
    v_row: base.Updates
    v_col: base.Updates
    v: base.Updates


def _decay_rate_pow(i: jax.typing.ArrayLike, exponent: jax.typing.ArrayLike = 0.8) -> jax.Array:
    """``1 - (i + 1)**-exponent``: the weight of the old second moment at step i = 0, 1, ..."""
    return 1.0 - jnp.asarray(i + 1, jnp.float32) ** (-exponent)  # type: ignore[operator]


def scale_by_factored_rms(
    factored: bool = True,
    decay_rate: jax.typing.ArrayLike = 0.8,
    step_offset: jax.typing.ArrayLike = 0,
    min_dim_size_to_factor: int = 128,
    epsilon: jax.typing.ArrayLike = 1e-30,
    decay_rate_fn: DecayRateFn = _decay_rate_pow,
) -> base.GradientTransformationExtraArgs:
    """Divide by the root of a second moment that large matrices keep as its row and column means.

    With ``d = decay_rate_fn(count - step_offset, decay_rate)`` and ``s = g**2 + epsilon``, for a leaf whose two largest
    axes have ``min_dim_size_to_factor`` or more each (the default ``d`` is 0 up to step ``step_offset``)::

        r <- d * r + (1 - d) * mean(s, columns)
        c <- d * c + (1 - d) * mean(s, rows)
        u = g / sqrt(r / mean(r)) / sqrt(c)

    and for any other, or if not ``factored``, ``v <- d * v + (1 - d) * s`` and ``u = g / sqrt(v)``.

    State: ``FactoredState(count, v_row, v_col, v)`` in the dtypes of the parameters. ``decay_rate_fn`` takes a 0-d
    int32 array and the decay rate. Raises ValueError if ``update`` gets no parameters. Source: Shazeer and Stern 2018,
    algorithm 4 and section 7; Zhai et al. 2021 for bounds on the decay rate.
    """

    def factors(shape: Shape) -> tuple[int, int] | None:
        return _factored_axes(shape, min_dim_size_to_factor) if factored else None

    def init(b: Builder, params: Tree) -> FactoredState:
        def zeros(name: str, shape_of: Callable[[Shape], Shape]) -> Tree:
            return b.full(b.leaf_sets.reshaped(params.leaf_set, name, shape_of), 0.0, dict(params.dtypes))

        return FactoredState(
            b.integer(0),
            v_row=zeros("v_row", lambda shape: _without(shape, factors(shape), 1)),
            v_col=zeros("v_col", lambda shape: _without(shape, factors(shape), 0)),
            v=zeros("v", lambda shape: (1,) if factors(shape) else shape),
        )

    def update(b: Builder, g: Tree, state: FactoredState, params: Tree | None, **hypers: Scalar):
        params = b.require_params(params)
        if decay_rate_fn is _decay_rate_pow:
            rate, weight = _decay_and_weight(b, state.count - hypers["step_offset"], hypers["decay_rate"])
        else:
            rate = b.schedule(lambda count: decay_rate_fn(count - step_offset, decay_rate), state.count)  # type: ignore[operator]
            weight = 1.0 - rate
        chosen = [factors(shape) is not None for shape in b.leaf_sets.shapes(g.leaf_set)]
        sides = [b.split(tree, chosen) for tree in (g, params, state.v_row, state.v_col, state.v)]
        on, off = ([pair[i] for pair in sides] for i in (0, 1))
        new_on = _factored(b, *on, rates=(rate, weight), epsilon=hypers["epsilon"], minimum=min_dim_size_to_factor)
        new_off = _unfactored(b, *off, rates=(rate, weight), epsilon=hypers["epsilon"])
        wholes: list[GroupedLeaves] = [tree.leaf_set for tree in (g, state.v_row, state.v_col, state.v)]
        u, v_row, v_col, v = (b.join(x, y, whole) for x, y, whole in zip(new_on, new_off, wholes, strict=True))
        return u, FactoredState(b.increment(state.count), v_row, v_col, v)

    return transformation(
        "scale_by_factored_rms", init, update, decay_rate=decay_rate, step_offset=step_offset, epsilon=epsilon
    )


def _factored_axes(shape: Shape, minimum: int) -> tuple[int, int] | None:
    """The two largest axes of a leaf, the larger last, if both are large enough."""
    if len(shape) < 2:
        return None
    order = sorted(range(len(shape)), key=shape.__getitem__)
    return (order[-2], order[-1]) if shape[order[-2]] >= minimum else None


def _without(shape: Shape, axes: tuple[int, int] | None, which: int) -> Shape:
    return (1,) if axes is None else tuple(n for i, n in enumerate(shape) if i != axes[which])


def _decay_and_weight(b: Builder, step: Scalar, exponent: Scalar) -> tuple[Scalar, Scalar]:
    """``1 - (step + 1)**-exponent``, 0 for a negative step, and one minus that.

    Neither is made from the other, which would be off by the rounding of 1 where they are small.
    """
    step = b.maximum(b.as_float32(step), 0.0)
    decay = 0.0 - b.unary("expm1", -exponent * b.unary("log1p", step))
    return decay, (step + 1.0) ** -exponent


def _factored(
    b: Builder,
    g: Tree,
    params: Tree,
    v_row: Tree,
    v_col: Tree,
    v: Tree,
    *,
    rates: tuple[Scalar, Scalar],
    epsilon: Scalar,
    minimum: int,
) -> tuple[Tree, Tree, Tree, Tree]:
    def keeping(*dropped: int) -> Callable[[Shape], list[int]]:
        def kept(shape: Shape) -> list[int]:
            axes = _factored_axes(shape, minimum)
            assert axes is not None
            return [i for i in range(len(shape)) if i not in [axes[d] for d in dropped]]

        return kept

    rows = b.axes("rows", g.leaf_set, keeping(1))
    heads = b.axes(f"{rows}.heads", g.leaf_set, keeping(0, 1))
    columns = b.axes("columns", g.leaf_set, keeping(0))
    squares = b.abs_sq(g) + epsilon

    def moment(old: Tree, extent: str) -> Tree:
        old = b.real(b.reshape(old, g.leaf_set, extent))
        return b.cast_like(rates[0] * old + rates[1] * b.mean(squares, extent), params)

    row, column = moment(v_row, rows), moment(v_col, columns)
    u = g * b.rsqrt(row / b.mean(row, heads)) * b.rsqrt(column)
    return u, b.reshape(row, v_row.leaf_set), b.reshape(column, v_col.leaf_set), v


def _unfactored(
    b: Builder,
    g: Tree,
    params: Tree,
    v_row: Tree,
    v_col: Tree,
    v: Tree,
    *,
    rates: tuple[Scalar, Scalar],
    epsilon: Scalar,
) -> tuple[Tree, Tree, Tree, Tree]:
    v = b.cast_like(rates[0] * b.real(v) + rates[1] * (b.abs_sq(g) + epsilon), params)
    return g * b.rsqrt(v), v_row, v_col, v


def adafactor(
    learning_rate: base.ScalarOrSchedule | None = None,
    min_dim_size_to_factor: int = 128,
    decay_rate: jax.typing.ArrayLike = 0.8,
    decay_offset: jax.typing.ArrayLike = 0,
    multiply_by_parameter_scale: bool = True,
    clipping_threshold: jax.typing.ArrayLike | None = 1.0,
    momentum: jax.typing.ArrayLike | None = None,
    dtype_momentum: DType = jnp.float32,
    weight_decay_rate: base.ScalarOrSchedule | None = None,
    eps: jax.typing.ArrayLike = 1e-30,
    factored: bool = True,
    weight_decay_mask: base.MaskOrFn = None,
) -> base.GradientTransformationExtraArgs:
    """Adafactor: factored second moments, clipping, step sizes relative to the parameters.

    In order: `scale_by_factored_rms`; `clip_by_block_rms` unless ``clipping_threshold`` is None; the learning rate
    unless None; `scale_by_param_block_rms` if ``multiply_by_parameter_scale``; `ema` of ``momentum`` in
    ``dtype_momentum`` unless None; weight decay unless ``weight_decay_rate`` is None; minus one.

    State: a tuple with the state of each. Raises ValueError if ``update`` gets no parameters. Source: Shazeer and Stern
    2018, algorithms 4 and 5.
    """
    parts: list[Any] = [scale_by_factored_rms(factored, decay_rate, decay_offset, min_dim_size_to_factor, eps)]
    if clipping_threshold is not None:
        parts.append(clip_by_block_rms(clipping_threshold))
    if learning_rate is not None:
        parts.append(scale_by_learning_rate(learning_rate, flip_sign=False))
    if multiply_by_parameter_scale:
        parts.append(scale_by_param_block_rms())
    if momentum is not None:
        parts.append(ema(momentum, debias=False, accumulator_dtype=dtype_momentum))
    if weight_decay_rate is not None:
        parts.append(add_decayed_weights(weight_decay_rate, mask=weight_decay_mask))
    return chain(*parts, scale(-1))
