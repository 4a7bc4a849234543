"""Wrappers that apply a transformation on some steps only; the others are taken by selection inside the sweeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.base import OptState
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.formula.hyper_names import INNER

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ApplyIfFiniteState(NamedTuple):
    """How often in a row updates were not finite, whether the last were, how often in all, and the inner state.

    The counts are 0-d int32 arrays, ``last_finite`` is a 0-d bool.
    """

    notfinite_count: Any
    last_finite: Any
    total_notfinite: Any
    inner_state: Any


class MaybeUpdateState(NamedTuple):
    """The inner state, and the number of calls, a 0-d int32."""

    inner_state: Any
    step: base.Count


class ConditionallyTransformState(NamedTuple):
    """The inner state, and the number of calls, a 0-d int32."""

    inner_state: Any
    step: base.Count


class ConditionallyMaskState(NamedTuple):
    """The number of calls, a 0-d int32, and the inner state."""

    step: base.Count
    inner_state: base.OptState


class ConditionFn(Protocol):
    """From the number of earlier calls, a 0-d int32, and extra arguments of ``update`` to a 0-d bool."""

    def __call__(self, step: jax.typing.ArrayLike, **extra_args: Any) -> jax.typing.ArrayLike: ...


def apply_if_finite(
    inner: base.GradientTransformation, max_consecutive_errors: int
) -> base.GradientTransformationExtraArgs:
    """Leave out steps whose updates have an infinite or NaN element.

    On such a step the updates are zeros and the inner state stays as it is, unless it is more than the
    ``max_consecutive_errors``-th in a row: then, and until finite updates come, ``inner`` is applied to whatever there
    is. State: ``ApplyIfFiniteState(notfinite_count, last_finite, total_notfinite, inner_state)``; the first count
    restarts at finite updates. Whether the updates are finite takes a sweep that reads them.
    """
    child = definition_of(inner)

    def init(b: Builder, params: Tree) -> ApplyIfFiniteState:
        return ApplyIfFiniteState(
            notfinite_count=b.integer(0),
            last_finite=b.number(1, bool, weak=False),
            total_notfinite=b.integer(0),
            inner_state=b.initialize(INNER, child, params),
        )

    def update(
        b: Builder,
        updates: Tree,
        state: ApplyIfFiniteState,
        params: Tree | None,
        *,
        max_consecutive_errors: Scalar,
    ):
        finite = all_finite(b, updates)
        in_a_row = b.where(finite, 0, b.increment(state.notfinite_count))
        total = b.where(finite, state.total_notfinite, b.increment(state.total_notfinite))
        accept = finite | (in_a_row > b.cast_scalar(max_consecutive_errors, np.int32))
        new, inner_state = b.apply(INNER, child, updates, state.inner_state, params)
        return b.where(accept, new, 0.0), ApplyIfFiniteState(
            in_a_row, finite, total, b.select(accept, inner_state, state.inner_state)
        )

    hypers = {"max_consecutive_errors": max_consecutive_errors}
    return as_pair(Definition("apply_if_finite", init, update, hypers, children=(child,), labels=(INNER,)))


def all_finite(b: Builder, tree: Tree) -> Scalar:
    """Whether no element is infinite or NaN: exact in every dtype, as nothing is added up that might overflow."""
    from optcc.dialect import Combiner

    return b.reduce_tree(b.where(b.is_finite(tree), 0.0, 1.0), Combiner.MAX) < 0.5


def maybe_update(
    inner: base.GradientTransformation,
    should_update_fn: Callable[..., jax.typing.ArrayLike],
    forward_extra_args: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Apply ``inner`` on the steps that a function chooses; on the others updates and inner state pass through.

    ``should_update_fn`` maps the number of earlier calls, a 0-d int32, to a 0-d bool; with ``forward_extra_args`` it
    gets the extra arguments of ``update``, too. State: ``MaybeUpdateState(inner_state, step)``; ``step`` counts every
    call.

    Raises TypeError where the function returns anything but one number.
    """
    return _on_some_steps("maybe_update", inner, should_update_fn, forward_extra_args, MaybeUpdateState)


def conditionally_transform(
    inner: base.GradientTransformation,
    should_transform_fn: Callable[..., jax.typing.ArrayLike],
    forward_extra_args: bool = False,
) -> base.GradientTransformationExtraArgs:
    """The newer name of `maybe_update`. State: ``ConditionallyTransformState(inner_state, step)``."""
    state = ConditionallyTransformState
    return _on_some_steps("conditionally_transform", inner, should_transform_fn, forward_extra_args, state)


def conditionally_mask(
    inner: base.GradientTransformation,
    should_transform_fn: Callable[..., jax.typing.ArrayLike],
    forward_extra_args: bool = False,
) -> base.GradientTransformationExtraArgs:
    """As `maybe_update`, but with zeros for the updates on the other steps.

    State: ``ConditionallyMaskState(step, inner_state)``.
    """
    state = ConditionallyMaskState
    return _on_some_steps("conditionally_mask", inner, should_transform_fn, forward_extra_args, state, zeros=True)


def _on_some_steps(
    name: str,
    inner: base.GradientTransformation,
    condition: Callable[..., jax.typing.ArrayLike],
    forward_extra_args: bool,
    state_class: Callable[..., Any],
    *,
    zeros: bool = False,
) -> base.GradientTransformationExtraArgs:
    child = definition_of(inner)

    def init(b: Builder, params: Tree) -> Any:
        return state_class(inner_state=b.initialize(None, child, params), step=b.integer(0))

    def update(b: Builder, updates: Tree, state: OptState, params: Tree | None):
        extras = (b.extra_args or {}) if forward_extra_args else {}
        taken = _condition(b, condition, state.step, extras)
        new, inner_state = b.apply(None, child, updates, state.inner_state, params)
        return b.where(taken, new, 0.0 if zeros else updates), state_class(
            inner_state=b.select(taken, inner_state, state.inner_state), step=b.increment(state.step)
        )

    return as_pair(
        Definition(name, init, update, children=(child,), numbers_children=False, uses_extra_args=forward_extra_args)
    )


def _condition(b: Builder, function: Callable[..., Any], step: Scalar, extras: dict[str, Tree]) -> Scalar:
    """The function's answer as a bool; opaque if it looks at extra arguments."""
    if not extras:
        answer = b.schedule(function, step)
        return answer if answer.dtype == bool else b.compare("ne", answer, 0)

    def call(count: Any, *arrays: Any) -> list[Any]:
        named = {
            name: jax.tree.unflatten(tree.leaf_set.structure, a)
            for (name, tree), a in zip(extras.items(), arrays, strict=True)
        }
        answer = jnp.asarray(function(count, **named))
        if answer.shape != ():
            raise TypeError(
                message(f"the condition must return one bool, got {answer.dtype}{list(answer.shape)}", b.where_in_chain)
            )
        return [answer != 0]

    return b.call("should_update", call, [step, *extras.values()], [np.dtype(bool)])[0]
