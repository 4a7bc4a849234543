"""mechanize: learn the scale of another optimizer's updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import OptState
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.transforms.step_scalars import narrowest

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class MechanicState(NamedTuple):
    """The base optimizer's state, the number of steps, the tuner's accumulators, and the first parameters.

    ``r``, ``m``, ``v`` and ``s`` have one number for each decay rate, in the narrowest dtype of the parameters.
    """

    base_optimizer_state: base.OptState
    count: base.Count
    r: jax.Array
    m: jax.Array
    v: jax.Array
    s: jax.Array
    x0: base.Params


def mechanize(
    base_optimizer: base.GradientTransformation,
    weight_decay: jax.typing.ArrayLike = 1e-2,
    eps: jax.typing.ArrayLike = 1e-8,
    s_init: jax.typing.ArrayLike = 1e-6,
    num_betas: int = 6,
) -> base.GradientTransformationExtraArgs:
    """Mechanic: add up a base optimizer's updates and learn the scale of their sum, for use without a tuned rate.

    With x0 the parameters at the first update, S the sum of the scales s, u the base updates, and ``b_i = 1 -
    0.1**i`` for i = 1 .. ``num_betas``::

        d = (x0 - p) / (S + eps)
        h = <g + weight_decay * S * |g| / (|p| + eps) * p, d>
        r_i <- b_i * r_i + clip(h, -m_i, m_i) * s_i
        m_i <- max(b_i * m_i, |h| + eps)
        v_i <- b_i**2 * v_i + h**2
        s_i <- (s_init / num_betas * m_i + max(0, r_i)) / (sqrt(v_i) + eps)
        p <- x0 - sum(s) * (d - u)

    where the clipping of r uses the old m. State: ``MechanicState(base_optimizer_state, count, r, m, v, s, x0)``.
    Raises ValueError for ``num_betas`` below 1 and if ``update`` gets no parameters. Source: Cutkosky et al. 2023,
    algorithm 1.
    """
    if num_betas < 1:
        raise ValueError(message(f"num_betas must be at least 1, got {num_betas}", "mechanize"))
    child = definition_of(base_optimizer)

    def init(b: Builder, params: Tree) -> Any:
        dtype = narrowest(params)
        tuners = b.vector("tuners", num_betas, dtype)
        zeros = b.full(tuners, 0.0, {0: dtype})
        scales = b.full(tuners, b.hyper("s_init", s_init), {0: dtype})
        fields: list[Any] = [b.integer(0), zeros, zeros, zeros, scales, params]
        return MechanicState(b.initialize(0, child, params), *fields)

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        params = b.require_params(params)
        weight_decay, eps, s_init = (hypers[name] for name in ("weight_decay", "eps", "s_init"))
        u, base_state = b.apply(0, child, g, state.base_optimizer_state, params)
        x0 = b.where(state.count.equals(0), params, state.x0)
        r, m, v, s = (_wide(b, tree) for tree in (state.r, state.m, state.v, state.s))
        total = sum(s[1:], s[0])
        decay = weight_decay * total * b.global_norm(g) / (b.global_norm(params) + eps)
        d = (x0 - params) / (total + eps)
        h = b.inner(g + decay * params, d)
        new: list[tuple[Scalar, ...]] = []
        for i in range(num_betas):
            beta = 1.0 - 0.1 ** (i + 1)
            clipped = b.maximum(-m[i], b.minimum(h, m[i]))
            new_r, new_m = beta * r[i] + clipped * s[i], b.maximum(beta * m[i], b.abs(h) + eps)
            new_v = beta**2 * v[i] + b.square(h)
            wealth = (s_init / num_betas) * new_m + b.maximum(0.0, new_r)
            new.append((new_r, new_m, new_v, wealth / (b.sqrt(new_v) + eps)))
        columns = [list(column) for column in zip(*new, strict=True)]
        packed = [b.pack(column, state.s) for column in columns]
        scale = sum(columns[3][1:], columns[3][0])
        target = x0 - scale * (d - u)
        new_state = MechanicState(base_state, b.increment(state.count), *packed, x0)  # type: ignore[arg-type]
        return target - params, new_state

    hypers = {"weight_decay": weight_decay, "eps": eps, "s_init": s_init}
    definition = Definition("mechanize", init, update, hypers, children=(child,))
    return as_pair(definition)


def _wide(b: Builder, tree: Tree) -> list[Scalar]:
    """The numbers of an accumulator as scalars to compute with: rounded when they are stored, not before."""
    from optcc.dtypes import compute_dtype

    return [b.cast_scalar(x, compute_dtype(x.dtype)) for x in b.unpack(tree)]
