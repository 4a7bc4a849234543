"""The zoom line search: sufficient decrease and small curvature, by bracketing and interpolation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from optcc import base
from optcc.base import OptState, PyTree
from optcc.errors import did_you_mean, message
from optcc.transforms.line_searches import ValueFn, bound, like, moved, no_nan, real_dtype, scaled, slope_along

GUESSES = ("keep", "one")


class ZoomLinesearchInfo(NamedTuple):
    """How many steps were tried, and by how much the last one missed the decrease and the curvature."""

    num_linesearch_steps: base.Count
    decrease_error: base.Number
    curvature_error: base.Number


class ScaleByZoomLinesearchState(NamedTuple):
    """The step size found, the value and the gradient at the new parameters, and the search's report."""

    learning_rate: base.Number
    value: base.Number
    grad: base.Updates
    info: ZoomLinesearchInfo


class _Point(NamedTuple):
    """A step size, and value and slope of the function there."""

    step: Any
    value: Any
    slope: Any


class _Search(NamedTuple):
    """The last trial, the bracket, a third point for the interpolation, and the best point that decreases enough."""

    count: Any
    trial: _Point
    grad: Any
    decrease: Any
    curvature: Any
    bracketed: Any
    done: Any
    failed: Any
    low: _Point
    high: _Point
    third: _Point
    safe: _Point
    safe_grad: Any


class _Rules(NamedTuple):
    """The numbers of a search; see `scale_by_zoom_linesearch`."""

    max_steps: int
    max_step: Any
    tol: Any
    increase: Any
    slope_rtol: Any
    curv_rtol: Any
    approx_rtol: Any
    precision: Any

    def errors(self, at: _Point, start: _Point) -> tuple[Any, Any]:
        """By how much a point misses the decrease, exact or approximate, and the curvature."""
        decrease = at.value - start.value - self.slope_rtol * at.step * start.slope
        if self.approx_rtol is not None:
            by_slope = at.slope - (2 * self.slope_rtol - 1.0) * start.slope
            by_value = at.value - start.value - self.approx_rtol * jnp.abs(start.value)
            decrease = jnp.minimum(jnp.maximum(by_slope, by_value), decrease)
        return no_nan(decrease), no_nan(jnp.abs(at.slope) - self.curv_rtol * jnp.abs(start.slope))


Evaluate = Callable[[Any], tuple[_Point, base.Updates]]


def _where(condition: Any, true: Any, false: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), true, false)


def _bracket(s: _Search, rules: _Rules, evaluate: Evaluate, start: _Point, guess: PyTree) -> _Search:
    """Go further until a point is too high or rises: between it and the one before is a good one."""
    step = jnp.where(s.count == 0, guess, rules.increase * s.trial.step).astype(s.trial.step.dtype)
    reached = jnp.asarray(False)
    if rules.max_step is not None:
        reached, step = step >= rules.max_step, jnp.minimum(step, rules.max_step).astype(step.dtype)
    new, grad = evaluate(step)
    decrease, curvature = rules.errors(new, start)
    ended = jnp.maximum(decrease, curvature) <= rules.tol
    safe, safe_grad = _where(decrease <= rules.tol, (new, grad), (s.safe, s.safe_grad))
    too_high = (decrease > 0.0) | (new.value >= s.trial.value) & (s.count > 0)
    rises = (new.slope >= 0.0) & ~too_high
    low, high = _where(rises, (new, s.trial), (s.trial, new))
    bracketed = too_high | rises | ended
    done = ended | reached & ~bracketed
    failed = (s.count + 1 >= rules.max_steps) & ~done
    return _Search(
        s.count + 1, new, grad, decrease, curvature, bracketed, done, failed, low, high, low, safe, safe_grad
    )


def _zoom(s: _Search, rules: _Rules, evaluate: Evaluate, start: _Point) -> _Search:
    """Try a point inside the bracket, and keep the side with a good one."""
    new, grad = evaluate(_inside(s.low, s.high, s.third))
    decrease, curvature = rules.errors(new, start)
    done = jnp.maximum(decrease, curvature) <= rules.tol
    better = (decrease <= rules.tol) & (new.value < s.safe.value)
    safe, safe_grad = _where(better, (new, grad), (s.safe, s.safe_grad))
    to_high = (decrease > 0.0) | (new.value >= s.low.value)
    turned = (new.slope * (s.high.step - s.low.step) >= 0.0) & ~to_high
    high = _where(turned, s.low, _where(to_high, new, s.high))
    low = _where(to_high, s.low, new)
    third = _where(to_high | turned, s.high, s.low)
    too_small = (jnp.abs(s.high.step - s.low.step) <= rules.precision) & (safe.step > 0.0)
    failed = ((s.count + 1 >= rules.max_steps) | too_small) & ~done
    return _Search(
        s.count + 1, new, grad, decrease, curvature, s.bracketed, done, failed, low, high, third, safe, safe_grad
    )


def _inside(low: _Point, high: _Point, third: _Point) -> Any:
    """The least point of a cubic, else of a parabola, else the middle: whichever is well inside the bracket."""
    length = jnp.abs(high.step - low.step)
    left, right = jnp.minimum(low.step, high.step), jnp.maximum(low.step, high.step)
    b, c = high.step - low.step, third.step - low.step
    over_b, over_c = high.value - low.value - low.slope * b, third.value - low.value - low.slope * c
    scale = (b * c) ** 2 * (b - c)
    third_order = (c**2 * over_b - b**2 * over_c) / scale
    second_order = (b**3 * over_c - c**3 * over_b) / scale
    root = jnp.sqrt(second_order**2 - 3.0 * third_order * low.slope)
    cubic = low.step + (root - second_order) / (3.0 * third_order)
    parabola = low.step - low.slope / (2.0 * over_b / b**2)

    def well_inside(x: Any, margin: float) -> Any:
        return (x > left + margin * length) & (x < right - margin * length)

    middle = (low.step + high.step) / 2.0
    return jnp.where(well_inside(cubic, 0.2), cubic, jnp.where(well_inside(parabola, 0.1), parabola, middle))


def _search(rules: _Rules, evaluate: Evaluate, start: _Point, grad: base.Updates, guess: PyTree) -> _Search:
    """The whole loop; a search that failed ends at the safe point, if there is one or the last is not finite."""
    no, infinite = jnp.asarray(False), jnp.full((), jnp.inf, start.value.dtype)
    initial = _Search(jnp.asarray(0), start, grad, infinite, infinite, no, no, no, start, start, start, start, grad)

    def body(s: _Search) -> _Search:
        return jax.lax.cond(
            s.bracketed,
            partial(_zoom, rules=rules, evaluate=evaluate, start=start),
            partial(_bracket, rules=rules, evaluate=evaluate, start=start, guess=guess),
            s,
        )

    s = jax.lax.while_loop(lambda s: ~(s.done | s.failed), body, initial)
    back = s.failed & ((s.safe.step > 0.0) | jnp.isinf(s.decrease))
    trial, grad = _where(back, (s.safe, s.safe_grad), (s.trial, s.grad))
    return s._replace(trial=trial, grad=grad)


def scale_by_zoom_linesearch(
    max_linesearch_steps: int,
    max_learning_rate: jax.typing.ArrayLike | None = None,
    tol: jax.typing.ArrayLike = 0.0,
    increase_factor: jax.typing.ArrayLike = 2.0,
    slope_rtol: jax.typing.ArrayLike = 1e-4,
    curv_rtol: jax.typing.ArrayLike = 0.9,
    approx_dec_rtol: jax.typing.ArrayLike | None = 1e-6,
    stepsize_precision: jax.typing.ArrayLike = 1e-5,
    initial_guess_strategy: Literal["keep", "one"] = "keep",
    verbose: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Scale the updates by a step size with enough decrease and little curvature: the strong Wolfe conditions.

    With u the updates, f the function, f0 and d0 its value and its slope ``<g, u>`` at the parameters p, and f and d
    those at ``p + s * u``, the step s is accepted, up to ``tol``, when ``f <= f0 + slope_rtol * s * d0``, or with
    ``approx_dec_rtol`` when ``d <= (2 * slope_rtol - 1) * d0`` and ``f <= f0 + approx_dec_rtol * |f0|``, and when
    ``|d| <= curv_rtol * |d0|``. The first trial is the last step size (``"keep"``) or 1 (``"one"``). It grows by
    ``increase_factor``, up to ``max_learning_rate``, until an interval with a good step is found, which shrinks by
    cubic and quadratic interpolation, down to ``stepsize_precision``. After ``max_linesearch_steps`` trials the best
    step with enough decrease is taken.

    ``update`` needs the parameters, ``value=`` (f0), ``grad=`` (g) and ``value_fn=`` (f); further extra arguments are
    handed to f. ``verbose`` prints when no step was accepted. State: ``ScaleByZoomLinesearchState(learning_rate, value,
    grad, info)``, value and gradient at the new parameters. Raises ValueError for another strategy, TypeError for an
    extra argument that f does not take. Source: Nocedal and Wright 2006, algorithms 3.5 and 3.6; Hager and Zhang 2006,
    equation 4.1 for the approximate decrease.
    """
    if initial_guess_strategy not in GUESSES:
        what = f"Unknown initial guess strategy: {initial_guess_strategy}"
        raise ValueError(message(what, fix=did_you_mean(initial_guess_strategy, GUESSES) or f"one of {GUESSES}"))
    rules = _Rules(
        max_linesearch_steps,
        max_learning_rate,
        tol,
        increase_factor,
        slope_rtol,
        curv_rtol,
        approx_dec_rtol,
        stepsize_precision,
    )

    def init(params: base.Params) -> ScaleByZoomLinesearchState:
        dtype, infinite = real_dtype(params), jnp.asarray(jnp.inf)
        info = ZoomLinesearchInfo(jnp.asarray(0), infinite, infinite)
        zeros = jax.tree.map(jnp.zeros_like, params)
        return ScaleByZoomLinesearchState(jnp.ones((), dtype), jnp.full((), jnp.inf, dtype), zeros, info)

    def update(
        updates: base.Updates,
        state: OptState,
        params: base.Params,
        *,
        value: jax.typing.ArrayLike,
        grad: base.Updates,
        value_fn: ValueFn,
        **extra_args: Any,
    ) -> tuple[base.Updates, ScaleByZoomLinesearchState]:
        function = jax.value_and_grad(bound(value_fn, extra_args, "scale_by_zoom_linesearch"))
        wide = jnp.promote_types(real_dtype(params), jnp.float32)

        def evaluate(step: Any) -> tuple[_Point, base.Updates]:
            new, new_grad = function(moved(params, step, updates))
            return _point(step, new, slope_along(new_grad, updates)), like(new_grad, params)

        def _point(*numbers: Any) -> _Point:
            return _Point(*(jnp.asarray(x, wide) for x in numbers))

        start = _point(0.0, value, slope_along(grad, updates))
        guess = state.learning_rate if initial_guess_strategy == "keep" else 1.0
        s = _search(rules, evaluate, start, like(grad, params), guess)
        if verbose:
            text = "optcc: zoom failed at the step {step}; decrease missed by {decrease}, curvature by {curvature}"
            given = {"step": s.trial.step, "decrease": s.decrease, "curvature": s.curvature}
            jax.lax.cond(s.failed, lambda: jax.debug.print(text, **given), lambda: None)
        info = ZoomLinesearchInfo(s.count, s.decrease, s.curvature)
        found = ScaleByZoomLinesearchState(s.trial.step, s.trial.value, s.grad, info)
        return scaled(s.trial.step, updates), like(found, state)

    return base.GradientTransformationExtraArgs(init, update)  # type: ignore[arg-type]
