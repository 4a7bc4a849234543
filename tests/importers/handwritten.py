"""Gradient transformations as people write them by hand, each in a style of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

pair: Any = optax.GradientTransformation


class SignMomentum:
    """A class with methods; its state is a plain dict."""

    def __init__(self, rate: float, decay: float) -> None:
        self.rate, self.decay = rate, decay

    def init(self, params: Any) -> Any:
        return {"m": jax.tree.map(jnp.zeros_like, params), "t": jnp.zeros((), jnp.int32)}

    def update(self, updates: Any, state: Any, params: Any = None) -> Any:
        m = jax.tree.map(lambda old, g: self.decay * old + (1 - self.decay) * g, state["m"], updates)
        return jax.tree.map(lambda x: -self.rate * jnp.tanh(3 * x), m), {"m": m, "t": state["t"] + 1}


def by_path(rate: float) -> Any:
    """Another rate for leaves by their names."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def one(path: Any, g: jax.Array) -> jax.Array:
            return -rate * (0.1 if "deep" in jax.tree_util.keystr(path) else 1.0) * g

        return jax.tree_util.tree_map_with_path(one, updates), state

    return pair(lambda params: optax.EmptyState(), update)


class EmaState(NamedTuple):
    count: jax.Array
    average: Any


def parameter_average(decay: float) -> Any:
    """An average of the parameters beside the updates, corrected for its start."""

    def init(params: Any) -> EmaState:
        return EmaState(jnp.zeros([], jnp.int32), jax.tree.map(jnp.array, params))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        count: Any = optax.safe_increment(state.count)
        d = jnp.minimum(decay, (1 + count) / (10 + count))
        new = jax.tree.map(lambda a, p, u: d * a + (1 - d) * (p + u), state.average, params, updates)
        return updates, EmaState(count, new)

    return pair(init, update)


def nan_guard() -> Any:
    """Zeros in place of what is not finite."""
    return optax.stateless_with_tree_map(lambda g, p: jnp.where(jnp.isfinite(g), g, 0.0))


def cautious(rate: float) -> Any:
    """Only where momentum and gradient agree, scaled by how many do."""

    def init(params: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, params)

    def update(updates: Any, m: Any, params: Any = None) -> Any:
        m = jax.tree.map(lambda old, g: 0.9 * old + 0.1 * g, m, updates)

        def one(m: jax.Array, g: jax.Array) -> jax.Array:
            mask = (m * g > 0).astype(g.dtype)
            return -rate * m * mask / jnp.maximum(mask.sum() / max(g.size, 1), 1e-3)

        return jax.tree.map(one, m, updates), m

    return pair(init, update)


def centred() -> Any:
    """Gradients of matrices less the mean over all axes but the last."""

    def one(g: jax.Array) -> jax.Array:
        return g - jnp.mean(g, axis=tuple(range(g.ndim - 1)), keepdims=True) if g.ndim > 1 else g

    return pair(lambda params: (), lambda u, s, params=None: (jax.tree.map(one, u), s))


@jax.tree_util.register_dataclass
@dataclass
class Moments:
    """A state that is a dataclass, with a pair of moments for each leaf in lists."""

    first: list[Any]
    second: list[Any]
    step: Any


def flat_adam(rate: float) -> Any:
    """Leaves as lists."""

    def init(params: Any) -> Moments:
        leaves = jax.tree.leaves(params)
        return Moments([jnp.zeros_like(x) for x in leaves], [jnp.zeros_like(x) for x in leaves], jnp.asarray(0.0))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        leaves, structure = jax.tree.flatten(updates)
        step = state.step + 1.0
        first = [0.9 * m + 0.1 * g for m, g in zip(state.first, leaves, strict=True)]
        second = [0.99 * v + 0.01 * g**2 for v, g in zip(state.second, leaves, strict=True)]
        new = [
            -rate * (m / (1 - 0.9**step)) * jax.lax.rsqrt(v / (1 - 0.99**step) + 1e-8)
            for m, v in zip(first, second, strict=True)
        ]
        return jax.tree.unflatten(structure, new), Moments(first, second, step)

    return pair(init, update)


def layer_decay(rate: float) -> Any:
    """A rate that falls with the position of the leaf."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        leaves, structure = jax.tree.flatten(updates)
        return structure.unflatten([-rate * 0.8**i * g for i, g in enumerate(leaves)]), state

    return pair(lambda params: (), update)


def clip_by_value_and_norm(limit: float) -> Any:
    """A norm over all leaves by a stacked array, used in a `cond`."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        norm = jnp.sqrt(jnp.sum(jnp.stack([jnp.vdot(g, g) for g in jax.tree.leaves(updates)])))
        scale = jax.lax.cond(norm > limit, lambda n: limit / n, lambda n: jnp.ones_like(n), norm)
        return jax.tree.map(lambda g: jnp.clip(g * scale, -1, 1), updates), {"norm": norm}

    return pair(lambda params: {"norm": jnp.zeros(())}, update)


def warm_restarts(rate: float, period: int) -> Any:
    """A rate that starts anew, with integers, and noise-free."""

    def init(params: Any) -> Any:
        return (jnp.zeros((), jnp.int32), jax.tree.map(jnp.zeros_like, params))

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        step, trace = state
        phase = (step % period).astype(jnp.float32) / period
        now = rate * 0.5 * (1 + jnp.cos(jnp.pi * phase))
        keep = jnp.where(step % period == 0, 0.0, 0.9)
        trace = jax.tree.map(lambda t, g: (keep * t + g).astype(t.dtype), trace, updates)
        return jax.tree.map(lambda t: (-now * t).astype(t.dtype), trace), (step + 1, trace)

    return pair(init, update)


HANDWRITTEN: dict[str, Any] = {
    "class": lambda: SignMomentum(0.1, 0.9),
    "rates by path": lambda: by_path(0.1),
    "average of parameters": lambda: optax.chain(optax.sgd(0.1), parameter_average(0.99)),
    "guard against NaN": lambda: optax.chain(nan_guard(), optax.scale(-0.1)),
    "cautious": lambda: cautious(0.1),
    "centred": lambda: optax.chain(centred(), optax.scale(-0.1)),
    "lists and a dataclass": lambda: flat_adam(0.1),
    "layers": lambda: layer_decay(0.1),
    "norm of a stack": lambda: optax.chain(clip_by_value_and_norm(0.5), optax.scale(-0.1)),
    "warm restarts": lambda: warm_restarts(0.1, 3),
}
