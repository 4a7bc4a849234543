"""L-BFGS: an estimate of the inverse Hessian from the last differences of parameters and gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from optcc import base
from optcc.base import OptState
from optcc.errors import message
from optcc.transforms.combining import chain
from optcc.transforms.scaling import identity, scale, scale_by_learning_rate
from optcc.transforms.zoom_search import scale_by_zoom_linesearch


class ScaleByLBFGSState(NamedTuple):
    """The number of steps, the last parameters and gradients, and the last differences of both with their weights.

    The memories have one more axis in front, over which they go round.
    """

    count: base.Count
    params: base.Params
    updates: base.Params
    diff_params_memory: base.PyTree
    diff_updates_memory: base.PyTree
    weights_memory: base.Number


def _inner(a: base.PyTree, b: base.PyTree) -> jax.Array:
    """The real part of the inner product of two pytrees."""

    def leaf(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.vdot(x, y, precision=jax.lax.Precision.HIGHEST).real

    return sum(jax.tree.leaves(jax.tree.map(leaf, a, b)), start=jnp.zeros(()))


def _add(a: base.PyTree, factor: jax.Array, b: base.PyTree) -> base.PyTree:
    """``a + factor * b`` in the dtypes of ``a``."""
    return jax.tree.map(lambda x, y: (x + factor * y).astype(x.dtype), a, b)


def scale_by_lbfgs(memory_size: int = 10, scale_init_precond: bool = True) -> base.GradientTransformationExtraArgs:
    """Multiply the gradient by the L-BFGS estimate of the inverse Hessian.

    With the last ``memory_size`` differences s of parameters and y of gradients and ``r = 1 / <y, s>``, 0 where that
    product is 0, the two loops are::

        from the newest:  a = r * <s, q>;  q <- q - a * y             q is the gradient at first
        q <- c * q
        from the oldest:  q <- q + (a - r * <y, q>) * s

    where c is 1, or with ``scale_init_precond`` ``<y, s> / |y|**2`` of the newest, and ``min(1, 1 / |g|)`` on the first
    step. It is plain JAX, an opaque call in a chain. State: ``ScaleByLBFGSState(count, params, updates,
    diff_params_memory, diff_updates_memory, weights_memory)``. Raises ValueError for a ``memory_size`` below 1, and if
    ``update`` gets no parameters. Source: Nocedal and Wright 2006, algorithms 7.4 and 7.5.
    """
    if memory_size < 1:
        raise ValueError(message(f"memory_size must be >= 1, got {memory_size}", "scale_by_lbfgs"))

    def init(params: base.Params) -> ScaleByLBFGSState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        memory = jax.tree.map(lambda x: jnp.zeros((memory_size, *x.shape), x.dtype), params)
        return ScaleByLBFGSState(jnp.asarray(0, jnp.int32), zeros, zeros, memory, memory, jnp.zeros(memory_size))

    def update(
        updates: base.Updates, state: OptState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, ScaleByLBFGSState]:
        del extra_args
        if params is None:
            raise ValueError(message("lbfgs needs the parameters", fix="call update(grads, state, params)"))
        known = state.count > 0
        s, y = (
            jax.tree.map(lambda new, old: jnp.where(known, new - old, 0).astype(new.dtype), new, old)
            for new, old in ((params, state.params), (updates, state.updates))
        )
        product = _inner(y, s)
        weight = jnp.where(product == 0.0, 0.0, 1.0 / product)
        place = (state.count - 1) % memory_size
        memories = jax.tree.map(
            lambda kept, new: kept.at[place].set(new),
            (state.diff_params_memory, state.diff_updates_memory, state.weights_memory),
            (s, y, weight),
        )
        first = jnp.asarray(1.0)
        if scale_init_precond:
            squared = _inner(y, y)
            capped = jnp.minimum(1.0, 1.0 / jnp.sqrt(jax.lax.stop_gradient(_inner(updates, updates))))
            first = jnp.where(known, jnp.where(squared > 0.0, product / squared, 1.0), capped)
        order = (state.count + jnp.arange(memory_size)) % memory_size
        new = _two_loops(updates, memories, first, order)
        count = jnp.where(state.count < jnp.iinfo(jnp.int32).max, state.count + 1, state.count)
        return new, ScaleByLBFGSState(count, params, updates, *memories)

    return base.GradientTransformationExtraArgs(init, update)


def _two_loops(gradient: base.Updates, memories: Any, first: jax.Array, order: jax.Array) -> base.Updates:
    """The two-loop recursion; ``order`` has the places of the memory from the oldest."""
    steps, changes, weights = memories

    def at(i: jax.Array) -> Any:
        return jax.tree.map(lambda x: x[i], (steps, changes))

    def newest_first(q: Any, i: jax.Array) -> tuple[Any, jax.Array]:
        s, y = at(i)
        a = weights[i] * _inner(s, q)
        return _add(q, -a, y), a

    def oldest_first(q: Any, pair: tuple[jax.Array, jax.Array]) -> tuple[Any, None]:
        i, a = pair
        s, y = at(i)
        return _add(q, a - weights[i] * _inner(y, q), s), None

    q, factors = jax.lax.scan(newest_first, gradient, order, reverse=True)
    q = jax.tree.map(lambda x: (first * x).astype(x.dtype), q)
    q, _ = jax.lax.scan(oldest_first, q, (order, factors))
    return q


_ZOOM = scale_by_zoom_linesearch(max_linesearch_steps=20, initial_guess_strategy="one")


def lbfgs(
    learning_rate: base.ScalarOrSchedule | None = None,
    memory_size: int = 10,
    scale_init_precond: bool = True,
    linesearch: base.GradientTransformation | None = _ZOOM,
) -> base.GradientTransformationExtraArgs:
    """L-BFGS: `scale_by_lbfgs`, minus the learning rate, 1 by default, then a line search.

    With a line search, by default `scale_by_zoom_linesearch`, ``update`` needs ``value=``, ``grad=`` and ``value_fn=``;
    `value_and_grad_from_state` spares the evaluations that it made. State: ``(ScaleByLBFGSState, EmptyState or
    ScaleByScheduleState, ScaleByZoomLinesearchState or that of the line search given)``. Source: Nocedal and Wright
    2006, algorithm 7.5.
    """
    rate = scale(-1.0) if learning_rate is None else scale_by_learning_rate(learning_rate)
    return chain(
        scale_by_lbfgs(memory_size, scale_init_precond), rate, identity() if linesearch is None else linesearch
    )
