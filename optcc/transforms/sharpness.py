"""sam: gradients at the worst point nearby."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import OptState
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree

LABELS = ("optimizer", "adv_optimizer")


class SAMState(NamedTuple):
    """Steps since the last sync, a 0-d int32, the states of both optimizers, and the parameters of the last sync.

    In opaque mode ``cache`` is None.
    """

    steps_since_sync: base.Count
    opt_state: base.OptState
    adv_state: base.OptState
    cache: base.Params | None


def sam(
    optimizer: base.GradientTransformation,
    adv_optimizer: base.GradientTransformation,
    sync_period: int = 2,
    reset_state: bool = True,
    opaque_mode: bool = False,
    batch_axis_name: str | None = None,
) -> base.GradientTransformationExtraArgs:
    """Sharpness-aware minimization: climb with one optimizer, and descend by the gradient found there with another.

    By default each call is one of ``sync_period``: all but the last add the negated updates of ``adv_optimizer``, and
    the last goes back to where they began and adds the updates of ``optimizer`` for its gradient. In ``opaque_mode``
    one call does all, with gradients from ``grad_fn(params, i)``, an extra argument of ``update``, for the climbing
    step i; they are averaged over the mapped axis ``batch_axis_name`` if it is given. ``reset_state`` starts
    ``adv_optimizer`` anew after each descent; else its state is kept over the last call.

    State: ``SAMState(steps_since_sync, opt_state, adv_state, cache)``. Raises ValueError for a ``sync_period`` below 1,
    if ``update`` gets no parameters and, in ``opaque_mode``, without ``grad_fn``. Source: Foret et al. 2021,
    algorithm 1.
    """
    if sync_period < 1:
        raise ValueError(message(f"Synchronization period must be >= 1, got {sync_period}", "sam"))
    descent, climb = definition_of(optimizer), definition_of(adv_optimizer)

    def init(b: Builder, params: Tree) -> Any:
        opt_state = b.initialize(LABELS[0], descent, params)
        adv_state = b.initialize(LABELS[1], climb, params)
        return SAMState(b.integer(0), opt_state, adv_state, None if opaque_mode else params)

    def by_turns(b: Builder, g: Tree, state: OptState, params: Tree | None):
        p = b.require_params(params)
        first, last = state.steps_since_sync.equals(0), state.steps_since_sync.equals(sync_period - 1)
        up, adv_state = b.apply(LABELS[1], climb, g, state.adv_state, p)
        down, opt_state = b.apply(LABELS[0], descent, g, state.opt_state, state.cache)
        restart = b.initialize(LABELS[1], climb, p) if reset_state else state.adv_state
        new: Any = SAMState(
            b.where(last, 0, state.steps_since_sync + 1),
            b.select(last, opt_state, state.opt_state),
            b.select(last, restart, adv_state),
            b.where(first, p, state.cache),
        )
        return b.where(last, state.cache - p + down, -up), new

    def at_once(b: Builder, g: Tree, state: OptState, params: Tree | None):
        start = b.require_params(params)
        adv_state, p = state.adv_state, start
        for i in range(sync_period - 1):
            up, adv_state = b.apply(LABELS[1], climb, g, adv_state, p)
            p = b.cast_like(p - up, start)
            g = _gradient(b, p, g, i, batch_axis_name)
        if reset_state:
            adv_state = b.initialize(LABELS[1], climb, start)
        down, opt_state = b.apply(LABELS[0], descent, g, state.opt_state, start)
        new: Any = SAMState(b.integer(0), opt_state, adv_state, None)
        return down, new

    update = at_once if opaque_mode else by_turns
    children = (descent, climb)
    return as_pair(Definition("sam", init, update, children=children, labels=LABELS, uses_extra_args=opaque_mode))


def _gradient(b: Builder, params: Tree, like: Tree, step: int, axis_name: str | None) -> Tree:
    """The gradient that the user's function gives at parameters, in the dtypes of another."""
    grad_fn: Callable[..., Any] | None = b.extra_functions.get("grad_fn")
    if grad_fn is None:
        fix = "call update(grads, state, params, grad_fn=lambda params, i: ...)"
        raise ValueError(message("grad_fn must be provided when opaque_mode=True", b.where_in_chain, fix))

    def call(arrays: Sequence[jax.Array]) -> list[list[Any]]:
        grads = grad_fn(jax.tree.unflatten(params.leaf_set.structure, arrays), step)
        if axis_name is not None:
            grads = jax.lax.pmean(grads, axis_name)
        return [[x.astype(y.dtype) for x, y in zip(jax.tree.leaves(grads), b.shapes(like), strict=True)]]

    return b.call("grad_fn", call, [params], [(like.leaf_set, like.dtypes)])[0]
