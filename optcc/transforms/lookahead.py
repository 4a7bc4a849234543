"""lookahead: slow parameters that follow fast ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from optcc import base
from optcc.base import LookaheadParams, OptState, Params
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class LookaheadState(NamedTuple):
    """The state of the fast optimizer and the number of steps since fast and slow parameters were last equal."""

    fast_state: base.OptState
    steps_since_sync: base.Count


def lookahead(
    fast_optimizer: base.GradientTransformation,
    sync_period: jax.typing.ArrayLike,
    slow_step_size: jax.typing.ArrayLike,
    reset_state: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Take steps with a fast optimizer; every ``sync_period`` steps, move slow parameters towards the fast ones.

    The parameters are `LookaheadParams`, the gradients those of ``params.fast``, the updates `LookaheadParams`. With u
    the updates of the fast optimizer and ``d = fast + u - slow``, at a sync ``slow += slow_step_size * d`` and
    ``fast += u - (1 - slow_step_size) * d``, which makes the two equal; at other steps ``fast += u`` alone. Nothing may
    come between the updates and the parameters. With ``reset_state`` the fast optimizer starts anew at each sync.

    State: ``LookaheadState(fast_state, steps_since_sync)``. Raises ValueError for a ``sync_period`` below 1 and if
    ``update`` gets no `LookaheadParams`. Source: Zhang et al. 2019, algorithm 1.
    """
    child = definition_of(fast_optimizer)

    def init(b: Builder, params: Params) -> LookaheadState:
        fast = params.fast if isinstance(params, LookaheadParams) else params
        return LookaheadState(b.initialize(0, child, fast), b.integer(0))  # type: ignore[arg-type]

    def update(b: Builder, g: Tree, state: OptState, params: Params, *, sync_period: Scalar, slow_step_size: Scalar):
        if not isinstance(params, LookaheadParams):
            fix = "call update(grads, state, LookaheadParams.init_synced(params)), with grads of params.fast"
            raise ValueError(message("lookahead needs LookaheadParams as parameters", b.where_in_chain, fix))
        u, fast_state = b.apply(0, child, g, state.fast_state, params.fast)
        steps = state.steps_since_sync + 1
        sync = b.as_float32(steps) >= sync_period
        gap = params.fast + u - params.slow
        slow = b.where(sync, slow_step_size * gap, 0.0)
        fast = b.where(sync, u - (1.0 - slow_step_size) * gap, u)
        if reset_state:
            fast_state = b.select(sync, b.initialize(0, child, params.fast), fast_state)
        new_state = LookaheadState(fast_state, b.where(sync, 0, steps))  # type: ignore[arg-type]
        return LookaheadParams(b.cast_like(fast, u), b.cast_like(slow, params.slow)), new_state

    hypers = {"sync_period": sync_period, "slow_step_size": slow_step_size}
    return as_pair(Definition("lookahead", init, update, hypers, children=(child,), check=_check_period))


def _check_period(hypers: Mapping[str, Any]) -> None:
    period = hypers["sync_period"]
    if isinstance(period, int | float | np.number) and not period >= 1:
        raise ValueError(message(f"sync_period must be at least 1, got {period}", "lookahead"))
