"""Line searches: what they share, backtracking, and the value and gradient that they leave in the state.

A line search calls the user's function and loops until it is content; it is plain JAX, an opaque call in a chain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from optcc import base
from optcc.base import OptState, PyTree
from optcc.errors import message

ValueFn = Callable[..., jax.Array]
"""From parameters, and named arguments, to a real number."""


class BacktrackingLinesearchInfo(NamedTuple):
    """How many steps were tried, and by how much the last one missed the decrease."""

    num_linesearch_steps: base.Count
    decrease_error: base.Number


class ScaleByBacktrackingLinesearchState(NamedTuple):
    """The step size found, the value at the new parameters, the gradient there or None, and the search's report."""

    learning_rate: base.Number
    value: base.Number
    grad: base.Updates | None
    info: BacktrackingLinesearchInfo


def slope_along(grad: base.Updates, direction: base.Updates) -> jax.Array:
    """The derivative along a direction: the real part of the sum of ``grad * direction``."""

    def leaf(g: jax.Array, u: jax.Array) -> jax.Array:
        return jnp.vdot(jnp.conj(g), u, precision=jax.lax.Precision.HIGHEST).real

    return sum(jax.tree.leaves(jax.tree.map(leaf, grad, direction)), start=jnp.zeros(()))


def moved(params: base.Params, step: jax.Array, direction: base.Updates) -> base.Params:
    """``params + step * direction`` in the dtypes of the parameters."""
    return jax.tree.map(lambda p, u: (p + step * u).astype(p.dtype), params, direction)


def real_dtype(params: base.Params) -> Any:
    """The dtype of the numbers of a search: that of the first leaf, or of its parts."""
    return jnp.finfo(jax.tree.leaves(params)[0].dtype).dtype


def bound(value_fn: ValueFn, extra_args: dict[str, PyTree], name: str) -> ValueFn:
    """The function with those extra arguments that are its own. Raises TypeError for any other."""
    parameters = inspect.signature(value_fn).parameters
    others = sorted(set(extra_args) - set(parameters))
    if others:
        what = f"Unexpected keyword arguments passed to `{name}.update`: {others} are no arguments of value_fn"
        raise TypeError(message(what, name, "give value_fn arguments of these names, or leave them out"))
    return partial(value_fn, **extra_args)


def no_nan(error: jax.Array) -> jax.Array:
    """An error of a condition: 0 where it holds, infinity where a value was not a number."""
    return jnp.where(jnp.isnan(error), jnp.inf, jnp.maximum(error, 0.0))


def scale_by_backtracking_linesearch(
    max_backtracking_steps: int,
    slope_rtol: jax.typing.ArrayLike = 1e-4,
    decrease_factor: jax.typing.ArrayLike = 0.8,
    increase_factor: jax.typing.ArrayLike = 1.5,
    max_learning_rate: jax.typing.ArrayLike = 1.0,
    atol: jax.typing.ArrayLike = 0.0,
    rtol: jax.typing.ArrayLike = 0.0,
    store_grad: bool = False,
    verbose: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Scale the updates by a step size that is shrunk until the function decreases enough.

    With u the updates, f the function, f0 its value and g its gradient at the parameters p, the step s is accepted
    when ``f(p + s * u) <= (1 + rtol) * f0 + slope_rtol * s * <g, u> + atol``. The first trial is the last step size
    times ``increase_factor``, at most ``max_learning_rate``; each further one is ``decrease_factor`` times it, up to
    ``max_backtracking_steps``. A step at which f is not finite becomes 0 in the end.

    ``update`` needs the parameters, ``value=`` (f0), ``grad=`` (g) and ``value_fn=`` (f); further extra arguments are
    handed to f. ``verbose`` prints when no step was accepted. State: ``ScaleByBacktrackingLinesearchState
    (learning_rate, value, grad, info)``, ``grad`` the gradient at the new parameters with ``store_grad``, else None.
    Raises TypeError for an extra argument that f does not take. Source: Armijo 1966; Nocedal and Wright 2006,
    algorithm 3.1.
    """

    def init(params: base.Params) -> ScaleByBacktrackingLinesearchState:
        dtype = real_dtype(params)
        infinite = jnp.array(jnp.inf, dtype)
        info = BacktrackingLinesearchInfo(jnp.asarray(0), infinite)
        grad = jax.tree.map(jnp.zeros_like, params) if store_grad else None
        return ScaleByBacktrackingLinesearchState(jnp.array(1.0, dtype), infinite, grad, info)

    def update(
        updates: base.Updates,
        state: OptState,
        params: base.Params,
        *,
        value: jax.typing.ArrayLike,
        grad: base.Updates,
        value_fn: ValueFn,
        **extra_args: Any,
    ) -> tuple[base.Updates, ScaleByBacktrackingLinesearchState]:
        function = bound(value_fn, extra_args, "scale_by_backtracking_linesearch")
        slope = slope_along(grad, updates)
        wide = jnp.promote_types(real_dtype(params), jnp.float32)
        start = jnp.asarray(value, wide)

        def try_step(trial: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
            step, _, _, count = trial
            step = jnp.where(count > 0, decrease_factor * step, step).astype(wide)
            new = jnp.asarray(function(moved(params, step, updates)), wide)
            error = no_nan(new - (1.0 + rtol) * start - step * slope_rtol * slope)
            return step, new, error.astype(wide), count + 1

        def goes_on(trial: tuple[Any, Any, Any, Any]) -> jax.Array:
            return ~(trial[2] <= atol) & (trial[3] <= max_backtracking_steps)

        first = jnp.minimum(increase_factor * state.learning_rate, max_learning_rate).astype(wide)
        initial = (first, start, jnp.array(jnp.inf, wide), jnp.asarray(0))
        step, new, error, count = jax.lax.while_loop(goes_on, try_step, initial)
        new_grad = jax.grad(function)(moved(params, step, updates)) if store_grad else None
        accepted = jnp.where(jnp.isinf(error), 0.0, step)
        if verbose:
            _report(error > atol, step, error)
        info = BacktrackingLinesearchInfo(count, error)
        found = ScaleByBacktrackingLinesearchState(accepted, new, new_grad, info)
        return scaled(accepted, updates), like(found, state)

    return base.GradientTransformationExtraArgs(init, update)  # type: ignore[arg-type]


def scaled(step: jax.Array, updates: base.Updates) -> base.Updates:
    """The updates times the step, in their own dtypes."""
    return jax.tree.map(lambda u: (step * u).astype(u.dtype), updates)


def like(new: PyTree, old: PyTree) -> Any:
    """A state in the dtypes of the one before."""
    return jax.tree.map(lambda x, y: jnp.asarray(x).astype(jnp.asarray(y).dtype), new, old)


def _report(failed: jax.Array, step: jax.Array, error: jax.Array) -> None:
    text = "optcc: no step size with enough decrease was found; the last was {step}, which missed it by {error}"
    jax.lax.cond(failed, lambda: jax.debug.print(text, step=step, error=error), lambda: None)


def value_and_grad_from_state(value_fn: ValueFn) -> Callable[..., tuple[jax.Array, base.Updates]]:
    """As ``jax.value_and_grad``, but what a line search left in the state is used where there is such.

    The function returned takes the parameters, the arguments of ``value_fn``, and ``state=``, the optimizer's, with
    one ``value`` and one ``grad``; a value that is not finite, as in the initial state, makes it call ``value_fn``.
    Raises ValueError for a state without them, KeyError for one with several.
    """

    def value_and_grad(params: base.Params, *args: Any, state: base.OptState, **kwargs: Any) -> Any:
        found = {name: fields(state, name) for name in ("value", "grad")}
        for name, all_found in found.items():
            if len(all_found) > 1:
                raise KeyError(message(f"the state has {len(all_found)} fields {name!r}", fix="pass a part of it"))
        value, grad = (all_found[0] if all_found else None for all_found in found.values())
        if value is None or grad is None:
            what = "Value or gradient not found in the state"
            raise ValueError(message(what, fix="use an optimizer that stores both, such as lbfgs, or store_grad=True"))

        def compute() -> Any:
            new = jax.value_and_grad(value_fn)(params, *args, **kwargs)
            return like(new, (value, grad))

        return jax.lax.cond(jnp.isfinite(value), lambda: (value, grad), compute)

    return value_and_grad


def fields(state: OptState, name: str) -> list[Any]:
    """Every field of that name of the named tuples of a state, outermost first."""
    if not isinstance(state, tuple | list | dict):
        return []
    own = [getattr(state, name)] if name in getattr(state, "_fields", ()) else []
    parts = state.values() if isinstance(state, dict) else state
    return own + [found for part in parts for found in fields(part, name)]
