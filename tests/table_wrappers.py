"""Rows of the parity table for wrappers: accumulation, conditions, partition, injected hyperparameters."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import optcc
from tests.rows import Row, decay
from tests.trees import matrices_only


class MaybeUpdateState(NamedTuple):
    """Optax 0.2.8 calls it ConditionallyTransformState."""

    inner_state: Any
    step: Any


class MultiTransformState(NamedTuple):
    """Optax 0.2.8 calls it PartitionState."""

    inner_states: Any


class InjectHyperparamsState(NamedTuple):
    """Optax 0.2.8 adds the states of the schedules; these three fields are the documented ones."""

    count: Any
    hyperparams: Any
    inner_state: Any


def renamed(tx: Any, to_ours: Any, to_theirs: Any) -> optax.GradientTransformationExtraArgs:
    """A pair of Optax's whose state has the classes of the documentation."""

    def update(updates: Any, state: Any, params: Any = None, **extra: Any):
        updates, state = tx.update(updates, to_theirs(state), params, **extra)
        return updates, to_ours(state)

    return optax.GradientTransformationExtraArgs(lambda params: to_ours(tx.init(params)), update)


def maybe_update(lib: Any, inner: Any, condition: Any) -> Any:
    if lib is optcc:
        return optcc.maybe_update(inner, condition)
    return renamed(
        lib.conditionally_transform(inner, condition),
        lambda s: MaybeUpdateState(*s),
        lambda s: optax.ConditionallyTransformState(*s),
    )


def multi_transform(lib: Any, transforms: Any, labels: Any) -> Any:
    tx = lib.multi_transform(transforms, labels)
    return tx if lib is optcc else renamed(tx, lambda s: MultiTransformState(*s), lambda s: lib.MultiTransformState(*s))


def inject(lib: Any, factory: Any, **given: Any) -> Any:
    tx = lib.inject_hyperparams(factory)(**given)
    if lib is optcc:
        return tx

    def theirs(s: Any) -> Any:
        full = tx.init(jnp.zeros(1))
        states = jax.tree.map(lambda _: s.count, full.hyperparams_states)
        return full._replace(**s._asdict(), hyperparams_states=states)

    return renamed(tx, lambda s: InjectHyperparamsState(s.count, s.hyperparams, s.inner_state), theirs)


def inner(lib: Any) -> Any:
    return lib.chain(lib.clip(0.9), lib.adamw(0.1, 0.8, 0.95, 1e-4, 1e-5, None, 0.05, matrices_only))


def by_rank(tree: Any) -> Any:
    return jax.tree.map(lambda x: ("scalars", "vectors")[x.ndim] if x.ndim < 2 else "matrices", tree)


def by_rank_transforms(lib: Any) -> dict[str, Any]:
    return {"matrices": inner(lib), "vectors": lib.sgd(decay(lib), 0.7), "scalars": lib.set_to_zero()}


def growing(step: Any) -> Any:
    """k = 2 for two gradient steps, then 3."""
    return jnp.where(step < 2, 2, 3)


def halving(lib: Any) -> Any:
    """Its values are exact in bfloat16, as which they are kept beside bfloat16 parameters."""
    return lib.exponential_decay(0.125, 3, 0.5, transition_begin=1, staircase=True)


def large(lib: Any) -> Any:
    return functools.partial(lib.skip_large_updates, max_squared_norm=60.0)


def skip_some(updates: Any, gradient_step: Any, params: Any) -> Any:
    """A user's function: skips by the first element of one leaf, and keeps a count of a kind."""
    del params
    return updates["vector"][0] > 0.7, (gradient_step + 1, {"first": updates["vector"][0]})


ROWS = [
    Row("apply_every", lambda lib: lib.chain(lib.trace(0.7), lib.apply_every(3))),
    Row(
        "apply_if_finite",
        lambda lib: lib.apply_if_finite(lib.lamb(0.1, 0.7, 0.95, 1e-4, 1e-5, 0.05, matrices_only), 1),
        reduces=True,
    ),
    Row(
        "apply_if_finite_clip",
        lambda lib: lib.apply_if_finite(lib.chain(lib.clip_by_global_norm(0.7), lib.adam(0.1)), 2),
        reduces=True,
    ),
    Row("multi_steps", lambda lib: lib.MultiSteps(inner(lib), 3), reduces=True),
    Row("multi_steps_sum", lambda lib: lib.MultiSteps(inner(lib), growing, use_grad_mean=False), reduces=True),
    Row("multi_steps_not_finite", lambda lib: lib.MultiSteps(inner(lib), 2, True, lib.skip_not_finite), reduces=True),
    Row("multi_steps_large", lambda lib: lib.MultiSteps(inner(lib), 2, False, large(lib)), reduces=True),
    Row("multi_steps_opaque_skip", lambda lib: lib.MultiSteps(inner(lib), 2, True, skip_some), reduces=True),
    Row("maybe_update", lambda lib: maybe_update(lib, inner(lib), lambda step: step % 3 != 1), reduces=True),
    Row("multi_transform", lambda lib: multi_transform(lib, by_rank_transforms(lib), by_rank)),
    Row(
        "multi_transform_prefix",
        lambda lib: multi_transform(
            lib,
            {"a": lib.clip_by_global_norm(0.7), "b": lib.trace(0.7)},
            {"scalar": "a", "empty": "b", "one": "b", "vector": "a", "odd": "b", "deep": "a"},
        ),
        reduces=True,
    ),
    Row(
        "wrappers_nested",
        lambda lib: lib.chain(
            lib.clip(0.9),
            lib.masked(lib.apply_if_finite(lib.apply_if_finite(lib.adam(0.1), 2), 1), matrices_only),
            maybe_update(lib, lib.apply_every(2), lambda step: step > 1),
        ),
        reduces=True,
    ),
]
"""Rows around an inner optimizer count as reducing: in Optax it is in a branch, where XLA contracts other products."""
OWN_ROWS = [
    Row("multi_steps_foreign", lambda lib: lib.MultiSteps(optax.adam(0.1, 0.8, 0.95, 1e-4, 1e-5), 2)),
    Row("multi_steps_dtype", lambda lib: lib.MultiSteps(inner(lib), 2, accumulator_dtype=jnp.bfloat16)),
    Row(
        "inject_hyperparams",
        lambda lib: inject(
            lib, lib.adamw, learning_rate=0.1, b1=0.8, b2=0.95, eps=1e-4, eps_root=1e-5, weight_decay=0.05
        ),
    ),
    Row(
        "inject_hyperparams_schedule",
        lambda lib: inject(lib, lib.sgd, learning_rate=halving(lib), momentum=0.7, nesterov=True),
    ),
    Row(
        "inject_hyperparams_factory",
        lambda lib: inject(
            lib, lambda rate, beta: lib.chain(lib.ema(1 - beta), lib.scale(-rate / 2)), rate=0.3, beta=0.2
        ),
    ),
]
"""Rows for trees of one dtype only: with two, Optax does not keep the dtypes of the state, or computes in bfloat16."""
NOT_FINITE = {"apply_if_finite", "apply_if_finite_clip", "multi_steps_not_finite", "multi_steps_large"}
"""The rows that are also tried with gradients that are not finite. (Optax's other accumulators keep a NaN for good.)"""
