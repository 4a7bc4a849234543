"""Control variates: functions close to the one of interest, whose expectation is known.

A control variate is made from a function and is a tuple of three functions:

- ``value(params, sample, state)``, its value at one sample;
- ``expectation(params, state)``, its expected value in closed form;
- ``update_state(params, samples, state)``, the new state after a batch of samples.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from optcc.monte_carlo.estimators import Function, evaluate

ControlVariate = tuple[
    Callable[[Sequence[Any], jax.Array, Any], jax.Array],
    Callable[[Sequence[Any], Any], jax.Array],
    Callable[[Sequence[Any], jax.Array, Any], Any],
]


def control_delta_method(function: Function) -> ControlVariate:
    """Second-order Taylor expansion of ``function`` at the mean of a Gaussian.

    With ``m, s = loc, exp(log_scale)`` from ``params = (loc, log_scale)``, gradient ``g`` and Hessian ``H`` of the
    function at ``m``::

        value         function(m) + g . (x - m) + (x - m) . H (x - m) / 2
        expectation   function(m) + sum(s**2 * diag(H)) / 2

    The function must be twice differentiable (three times to estimate gradients with). There is no state: pass None.

    Args:
      function: maps one sample to one number.

    Returns:
      The three functions of a control variate, for :func:`control_variates_jacobians`.

    Reference: Paisley, Blei and Jordan, *Variational Bayesian Inference with Stochastic Search*, 2012.
    """

    def value(params: Sequence[Any], sample: jax.Array, state: Any = None) -> jax.Array:
        del state
        mean = params[0]
        at_mean, slope, curvature = _derivatives_along(function, mean, sample - mean)
        return at_mean + slope + 0.5 * curvature

    def expectation(params: Sequence[Any], state: Any = None) -> jax.Array:
        del state
        mean, scale = params[0], jnp.exp(params[1])
        size = math.prod(mean.shape)
        # Along s_i * e_i the curvature is s_i**2 * H_ii: the trace needs no Hessian.
        directions = jnp.eye(size, dtype=mean.dtype).reshape(size, *mean.shape) * scale[None]
        curvatures = jax.vmap(lambda d: _derivatives_along(function, mean, d)[2])(directions)
        return evaluate(function, mean) + 0.5 * jnp.sum(curvatures)

    def update_state(params: Sequence[Any], samples: jax.Array, state: Any = None) -> Any:
        del params, samples
        return state

    return value, expectation, update_state


def moving_avg_baseline(
    function: Function,
    decay: float = 0.99,
    zero_debias: bool = True,
    use_decay_early_training_heuristic: bool = True,
) -> ControlVariate:
    """Moving average of the mean of ``function`` over batches: a constant, hence its own expectation.

    The state is ``(average, count)``; start with ``(0.0, 0)``. Update number ``i = 0, 1, ...``, with ``b`` the batch
    mean::

        d        = min(decay, (1 + i) / (10 + i)) with the heuristic, else decay
        raw     <- d * raw + (1 - d) * b
        average  = raw / (1 - product of all d so far) with zero_debias, else raw

    It lowers the variance of the score function estimator and has no effect on the others, which take differences or
    derivatives.

    Args:
      function: maps one sample to one number.
      decay: share of the old average that is kept, in [0, 1].
      zero_debias: remove the pull towards the zero that the average starts from; a starting value is then ignored.
      use_decay_early_training_heuristic: forget faster during the first updates.

    Returns:
      The three functions of a control variate, for :func:`control_variates_jacobians`.

    Raises:
      ValueError: ``decay`` is out of range, or a state is not a pair.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"moving_avg_baseline: decay must be in [0, 1], got {decay}")
    if decay == 1 and zero_debias and not use_decay_early_training_heuristic:
        raise ValueError("moving_avg_baseline: with decay 1 nothing is averaged; pass zero_debias=False to fix a value")

    def value(params: Sequence[Any], sample: jax.Array, state: Any = None) -> jax.Array:
        del params, sample
        return _average_and_count(state)[0]

    def expectation(params: Sequence[Any], state: Any = None) -> jax.Array:
        del params
        return _average_and_count(state)[0]

    def update_state(params: Sequence[Any], samples: jax.Array, state: Any = None) -> Any:
        del params
        average, count = _average_and_count(state)
        batch_mean = jnp.mean(jax.vmap(lambda sample: evaluate(function, sample))(samples))
        d = jnp.minimum(decay, (1.0 + count) / (10.0 + count)) if use_decay_early_training_heuristic else decay
        weight = 1.0
        if zero_debias:
            # The state holds the corrected average, so the raw one is made again from it.
            weight = 1.0 - _product_of_decays(decay, count, use_decay_early_training_heuristic)
        average = d * (weight * average) + (1.0 - d) * batch_mean
        if zero_debias:
            average = average / (1.0 - _product_of_decays(decay, count + 1, use_decay_early_training_heuristic))
        return jax.lax.stop_gradient(average), count + 1

    return value, expectation, update_state


def _derivatives_along(
    function: Function, point: jax.Array, direction: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Value, first and second derivative of ``function(point + t * direction)`` by ``t`` at 0."""

    def value_and_slope(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.jvp(lambda y: evaluate(function, y), (x,), (direction,))

    (value, slope), (_, curvature) = jax.jvp(value_and_slope, (point,), (direction,))
    return value, slope, curvature


def _product_of_decays(decay: float, count: Any, early: bool) -> Any:
    """Product of the decays of the first ``count`` updates, in closed form."""
    if not early:
        return jnp.power(decay, count)
    # (1 + i) / (10 + i) < decay for the first `switch` updates; the product of n such factors telescopes.
    switch = math.inf if decay == 1 else max(0, math.ceil((10 * decay - 1) / (1 - decay)))
    n = jnp.minimum(count, switch)
    telescoped = math.prod(j / (n + j) for j in range(1, 10))
    return telescoped * jnp.power(decay, count - n)


def _average_and_count(state: Any) -> tuple[Any, Any]:
    if not isinstance(state, Sequence) or len(state) != 2:
        raise ValueError(
            f"moving_avg_baseline: the state must be (average, count), got {state!r}; "
            f"start with control_variate_state=(0.0, 0) and pass on the state that comes back"
        )
    return state[0], state[1]
