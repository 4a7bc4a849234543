"""Random numbers in the updates: add_noise, differentially_private_aggregate, and the optimizers around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from optcc import base
from optcc.base import OptState
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, transformation
from optcc.transforms.combining import chain
from optcc.transforms.moments import trace
from optcc.transforms.scaling import identity, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class AddNoiseState(NamedTuple):
    """The number of steps and the key of the noise to come."""

    count: base.Count
    rng_key: jax.Array


def add_noise(
    eta: jax.typing.ArrayLike,
    gamma: jax.typing.ArrayLike,
    seed: jax.Array | int | None = None,
    *,
    key: jax.Array | int | None = None,
) -> base.GradientTransformationExtraArgs:
    """Add normal noise whose variance falls: ``u = g + sqrt(eta / t**gamma) * z`` at step t = 1, 2, ...

    ``seed``, or ``key``, is an integer or a typed key. The numbers are those of ``jax.random.normal``, for each leaf
    from a key of its own. State: ``AddNoiseState(count, rng_key)``. Raises ValueError without a seed and with two.
    Source: Neelakantan et al. 2015, equation 1.
    """
    make = _key_maker("add_noise", seed, key)

    def init(b: Builder, params: Tree) -> AddNoiseState:
        return AddNoiseState(count=b.integer(0), rng_key=b.key(make))  # type: ignore[arg-type]

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, *, eta: Scalar, gamma: Scalar):
        count = b.increment(state.count)
        deviation = b.sqrt(eta / b.as_float32(count) ** gamma)
        noise = b.random_normal(b.split_key(state.rng_key, 1, 2), g)
        return b.cast_like(g + deviation * noise, g), AddNoiseState(count, b.split_key(state.rng_key, 0, 2))  # type: ignore[arg-type]

    return transformation("add_noise", init, update, eta=eta, gamma=gamma)


def noisy_sgd(
    learning_rate: base.ScalarOrSchedule,
    eta: jax.typing.ArrayLike = 0.01,
    gamma: jax.typing.ArrayLike = 0.55,
    seed: jax.Array | int = 0,
    *,
    key: jax.Array | int | None = None,
) -> base.GradientTransformationExtraArgs:
    """Stochastic gradient descent with `add_noise`; ``key``, if given, goes before ``seed``.

    State: ``(AddNoiseState, EmptyState or ScaleByScheduleState)``. Source: Neelakantan et al. 2015.
    """
    return chain(add_noise(eta, gamma, key=seed if key is None else key), scale_by_learning_rate(learning_rate))


class DifferentiallyPrivateAggregateState(NamedTuple):
    """The key of the noise to come."""

    rng_key: jax.Array


def differentially_private_aggregate(
    l2_norm_clip: jax.typing.ArrayLike,
    noise_multiplier: jax.typing.ArrayLike,
    seed: jax.Array | int | None = None,
    *,
    key: jax.Array | int | None = None,
) -> base.GradientTransformationExtraArgs:
    """Clip the gradient of every example, add them up, add noise, and take the mean.

    The updates have an axis of n examples in front. With ``c = l2_norm_clip`` and the norm over all leaves of an
    example::

        u = (sum over the examples i of g_i * min(1, c / |g_i|) + c * noise_multiplier * z) / n

    z is standard normal, from ``seed`` or ``key``, an integer or a typed key. Use it first in a chain. State:
    ``DifferentiallyPrivateAggregateState(rng_key)``. Raises ValueError without a seed and with two, and where the
    leaves have no common first axis. Source: Abadi et al. 2016, algorithm 1.
    """
    make = _key_maker("differentially_private_aggregate", seed, key)

    def init(b: Builder, params: Tree) -> Any:
        return DifferentiallyPrivateAggregateState(rng_key=b.key(make))  # type: ignore[arg-type]

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        from optcc.formula.fold_leaves import spread_over_leaves, sum_over_leaves

        clip, multiplier = hypers["l2_norm_clip"], hypers["noise_multiplier"]
        examples = _examples(b, g)
        each = b.axes("examples", g.leaf_set, lambda shape: [0])
        rest = b.axes("parameter", g.leaf_set, lambda shape: range(1, len(shape)))
        squares = b.reduce_leaves(b.square(g), extent=each)
        norm = b.sqrt(sum_over_leaves(b, squares, examples))
        ratio = clip / norm
        # The gradient of an example with a norm of 0 or NaN is not scaled.
        factor = b.where(ratio < 1.0, ratio, 1.0)
        clipped = b.reduce_leaves(g * spread_over_leaves(b, factor, squares, examples), extent=rest)
        target = b.leaf_sets.reshaped(g.leaf_set, "mean", lambda shape: shape[1:])
        total = b.reshape(clipped, target)
        noise = b.random_normal(state.rng_key, total, first=1)
        new_key = b.split_key(state.rng_key, 0, 1 + len(total.leaf_set.leaves))
        mean = (total + clip * multiplier * noise) / float(examples)
        return b.cast_like(mean, total), DifferentiallyPrivateAggregateState(new_key)  # type: ignore[arg-type]

    hypers = {"l2_norm_clip": l2_norm_clip, "noise_multiplier": noise_multiplier}
    return as_pair(Definition("differentially_private_aggregate", init, update, hypers, takes_examples=True))


def _examples(b: Builder, g: Tree) -> int:
    """The number of examples."""
    shapes = b.leaf_sets.shapes(g.leaf_set)
    sizes = {shape[:1] for shape in shapes}
    if len(sizes) != 1 or () in sizes:
        path, shape = next(
            (p, s)
            for p, s in zip(b.leaf_sets.paths(g.leaf_set), shapes, strict=True)
            if s[:1] != shapes[0][:1] or not s
        )
        raise ValueError(
            message(
                f"the gradients of single examples need a common first axis, but this leaf has the shape {list(shape)}",
                f"{b.where_in_chain}, leaf {path!r}",
                "make them with jax.vmap of jax.grad over the examples",
            )
        )
    return sizes.pop()[0]


def dpsgd(
    learning_rate: base.ScalarOrSchedule,
    l2_norm_clip: jax.typing.ArrayLike,
    noise_multiplier: jax.typing.ArrayLike,
    seed: jax.Array | int,
    momentum: jax.typing.ArrayLike | None = None,
    nesterov: bool = False,
) -> base.GradientTransformationExtraArgs:
    """Differentially private SGD: `differentially_private_aggregate`, momentum unless None, minus the learning rate.

    State: ``(DifferentiallyPrivateAggregateState, TraceState or EmptyState, EmptyState or ScaleByScheduleState)``.
    Source: Abadi et al. 2016, algorithm 1.
    """
    return chain(
        differentially_private_aggregate(l2_norm_clip, noise_multiplier, key=seed),
        identity() if momentum is None else trace(momentum, nesterov),
        scale_by_learning_rate(learning_rate),
    )


def _key_maker(name: str, seed: Any, key: Any) -> Callable[[], jax.Array]:
    """Makes the typed key from the one of the two arguments that is given."""
    if (seed is None) == (key is None):
        given = "both seed and key" if seed is not None else "neither seed nor key"
        raise ValueError(message(f"{name} got {given}", fix="pass one of them: an integer or jax.random.key(...)"))
    chosen = seed if key is None else key
    if hasattr(chosen, "dtype") and jnp.issubdtype(chosen.dtype, jax.dtypes.prng_key):
        return lambda: chosen
    if jnp.ndim(chosen):  # the data of a key, as JAX once had it
        return lambda: jax.random.wrap_key_data(jnp.asarray(chosen))
    return lambda: jax.random.key(chosen)
