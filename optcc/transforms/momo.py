"""Model-based step sizes: momo, momo_adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import OptState, PyTree
from optcc.formula.definition import Definition, as_pair
from optcc.transforms.loss_value import TINY
from optcc.transforms.step_scalars import constants, extra_scalar, narrowest, value_at, wide

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class MomoState(NamedTuple):
    """Averages of the gradients, of the loss, of gradient times parameter; the bound of the loss, and the steps."""

    exp_avg: base.Updates
    barf: base.Number
    gamma: base.Number
    lb: base.Number
    count: base.Count


class MomoAdamState(NamedTuple):
    """As `MomoState`, with the second moment."""

    exp_avg: base.Updates
    exp_avg_sq: base.Updates
    barf: base.Number
    gamma: base.Number
    lb: base.Number
    count: base.Count


def momo(
    learning_rate: base.ScalarOrSchedule = 1.0,
    beta: jax.typing.ArrayLike = 0.9,
    lower_bound: jax.typing.ArrayLike = 0.0,
    weight_decay: jax.typing.ArrayLike = 0.0,
    adapt_lower_bound: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Momentum whose step size a model of the loss bounds; ``update`` needs ``value=``, the loss.

    With averages of decay ``beta``, which start at their first value, m of g, f of the loss, c of ``sum(g * p)``, the
    learning rate a as largest step, w = ``weight_decay`` and the bound l, sums over all leaves::

        t = max((1 + a * w) * (f - l - c) + sum(m * p), 0) / |m|**2      0 where m is
        u = -a * w / (1 + a * w) * p - min(a, t) * m

    Under ``adapt_lower_bound`` l follows the loss, never below ``lower_bound``. State: ``MomoState(exp_avg, barf,
    gamma, lb, count)``, which are m, f, c and l; the numbers have the narrowest dtype of the parameters. Raises
    TypeError without ``value=`` and ValueError if ``update`` gets no parameters. Source: Schaipp et al. 2024, algorithm
    1, and section 3.4 for the bound.
    """

    def init(b: Builder, params: Tree) -> Any:
        return MomoState(b.zeros_like(params), *_initial(b, params, lower_bound))

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        params, value = b.require_params(params), extra_scalar(b, "value")
        beta, first = hypers["beta"], state.count.equals(0)

        def average(new: PyTree, old: PyTree) -> Any:
            return b.where(first, new, beta * old + (1 - beta) * new)

        loss, slope = average(value, wide(b, state.barf)), average(b.inner(g, params), wide(b, state.gamma))
        m = average(g, state.exp_avg)
        model = _Model(b, hypers, value_at(b, learning_rate, state.count, hypers.get("learning_rate")))
        found = model.step(loss, slope, m, m, params, wide(b, state.lb), None, adapt_lower_bound)
        new: Any = MomoState(m, loss, slope, found.bound, b.increment(state.count))
        return model.decay(params) - found.tau * m, new

    hypers = {"beta": beta, "lower_bound": lower_bound, "weight_decay": weight_decay}
    return as_pair(
        Definition("momo", init, update, hypers | constants(learning_rate=learning_rate), uses_extra_args=True)
    )


def momo_adam(
    learning_rate: base.ScalarOrSchedule = 1e-2,
    b1: jax.typing.ArrayLike = 0.9,
    b2: jax.typing.ArrayLike = 0.999,
    eps: jax.typing.ArrayLike = 1e-8,
    lower_bound: jax.typing.ArrayLike = 0.0,
    weight_decay: jax.typing.ArrayLike = 0.0,
    adapt_lower_bound: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Adam whose step size a model of the loss bounds; ``update`` needs ``value=``, the loss.

    As `momo`, with averages that start at 0, ``b1`` for their decay and ``k = 1 - b1**t`` their correction at step t::

        d = m / (eps + sqrt(v / (1 - b2**t)))      with v the average of g**2 of decay b2
        t = max((1 + a * w) * (f - k * l - c) + sum(m * p), 0) / sum(m * d)
        u = -a * w / (1 + a * w) * p - min(a / k, t) * d

    State: ``MomoAdamState(exp_avg, exp_avg_sq, barf, gamma, lb, count)``. Raises TypeError without ``value=`` and
    ValueError if ``update`` gets no parameters. Source: Schaipp et al. 2024, algorithm 2.
    """

    def init(b: Builder, params: Tree) -> Any:
        return MomoAdamState(b.zeros_like(params), b.zeros_like(params), *_initial(b, params, lower_bound))

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        from optcc.formula.powers import one_minus_power

        params, value = b.require_params(params), extra_scalar(b, "value")
        b1, b2, count = hypers["b1"], hypers["b2"], b.increment(state.count)
        loss = b1 * wide(b, state.barf) + (1 - b1) * value
        slope = b1 * wide(b, state.gamma) + (1 - b1) * b.inner(g, params)
        m = b1 * state.exp_avg + (1 - b1) * g
        v = b2 * b.real(state.exp_avg_sq) + (1 - b2) * b.abs_sq(g)
        d = m / (hypers["eps"] + b.sqrt(v / wide(b, one_minus_power(b, b2, count))))
        model = _Model(b, hypers, value_at(b, learning_rate, state.count, hypers.get("learning_rate")))
        correction = wide(b, one_minus_power(b, b1, count))
        found = model.step(loss, slope, m, d, params, wide(b, state.lb), correction, adapt_lower_bound)
        new: Any = MomoAdamState(m, v, loss, slope, found.bound, count)
        return model.decay(params) - found.tau * d, new

    hypers = {"b1": b1, "b2": b2, "eps": eps, "lower_bound": lower_bound, "weight_decay": weight_decay}
    rates = constants(learning_rate=learning_rate)
    return as_pair(Definition("momo_adam", init, update, hypers | rates, uses_extra_args=True))


def _initial(b: Builder, params: Tree, lower_bound: jax.typing.ArrayLike) -> Any:
    """The averages of loss and slope, the bound, and the count."""
    low = narrowest(params)
    zeros = [b.number(0.0, low, weak=False) for _ in range(2)]
    return *zeros, b.cast_scalar(b.hyper("lower_bound", lower_bound), low), b.integer(0)


class _Found(NamedTuple):
    tau: Any
    bound: Any


class _Model:
    """The model of the loss, which gives the step size and the next lower bound."""

    def __init__(self, b: Builder, hypers: dict[str, Scalar], rate: Scalar) -> None:
        self.b = b
        self.rate = rate
        self.shrink = rate * hypers["weight_decay"]
        self.lowest = hypers["lower_bound"]

    def decay(self, params: Tree) -> Tree:
        """The part of the update that is weight decay."""
        return -self.shrink / (1 + self.shrink) * params

    def step(
        self,
        loss: Scalar,
        slope: Scalar,
        m: Tree,
        direction: Tree,
        params: Tree,
        bound: Scalar,
        correction: Scalar | None,
        adapt: bool,
    ) -> _Found:
        """The factor of the direction, and the lower bound of the next step."""
        b, grown = self.b, 1 + self.shrink
        k: Any = 1.0 if correction is None else correction
        norm, product = b.inner(m, direction), b.inner(m, params)
        if adapt:
            cap = grown * (loss - slope) + product
            bound = b.where(cap < grown * k * bound, b.maximum(cap / (2 * k * grown), self.lowest), bound)
        model = b.maximum(grown * (loss - k * bound - slope) + product, 0.0) / norm
        tau = b.minimum(self.rate / k, b.where(norm <= TINY, 0.0, model))
        if adapt:
            bound = b.maximum((loss + product - slope - 0.5 * tau * norm) / k, self.lowest)
        return _Found(tau, bound)
