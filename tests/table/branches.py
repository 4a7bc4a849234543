"""Wrappers that choose between states: conditions, accumulation, partition; and injected hyperparameters."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from tests.table.row import FINITE, FOREIGN, Row, decay, halving, inner, not_scalars
from tests.trees import matrices_only


class MaybeUpdateState(NamedTuple):
    """Optax 0.2.8 calls it ConditionallyTransformState."""

    inner_state: Any
    step: Any


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


def keeping_dtypes(tx: Any) -> Any:
    """A pair that returns a state in the dtypes of the one that it was given."""

    def like(x: Any, old: Any) -> Any:
        return jnp.asarray(x).astype(jnp.asarray(old).dtype)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any):
        updates, new_state = tx.update(updates, state, params, **extra)
        return updates, jax.tree.map(like, new_state, state)

    return optax.GradientTransformationExtraArgs(tx.init, update)


def maybe_update(lib: Any, inner: Any, condition: Any) -> Any:
    if lib is not optax:
        return lib.maybe_update(inner, condition)
    return renamed(
        lib.conditionally_transform(inner, condition),
        lambda s: MaybeUpdateState(*s),
        lambda s: optax.ConditionallyTransformState(*s),
    )


def inject(lib: Any, factory: Any, **given: Any) -> Any:
    if lib is not optax:
        return lib.inject_hyperparams(factory)(**given)
    # By default Optax stores them in the dtype of the parameters, in which adamw's b2 can be 1 (docs/differences.md).
    # Stored in float32, they would make the moments float32, too.
    tx = keeping_dtypes(lib.inject_hyperparams(factory, hyperparam_dtype=jnp.float32)(**given))

    def theirs(s: Any) -> Any:
        full = tx.init(jnp.zeros(1))
        states = jax.tree.map(lambda _: s.count, full.hyperparams_states)
        return full._replace(**s._asdict(), hyperparams_states=states)

    return renamed(tx, lambda s: InjectHyperparamsState(s.count, s.hyperparams, s.inner_state), theirs)


def by_rank(tree: Any) -> Any:
    return jax.tree.map(lambda x: ("scalars", "vectors")[x.ndim] if x.ndim < 2 else "matrices", tree)


def by_rank_transforms(lib: Any) -> dict[str, Any]:
    return {"matrices": inner(lib), "vectors": lib.sgd(decay(lib), 0.7), "scalars": lib.set_to_zero()}


def by_turns(tree: Any) -> Any:
    """A label for each child of the root, whatever is below it."""
    turn = itertools.cycle("ab")
    return jax.tree.map(lambda _: next(turn), tree, is_leaf=lambda x: x is not tree)


def growing(step: Any) -> Any:
    """k = 2 for two gradient steps, then 3."""
    return jnp.where(step < 2, 2, 3)


def large(lib: Any) -> Any:
    return partial(lib.skip_large_updates, max_squared_norm=60.0)


def skip_some(updates: Any, gradient_step: Any, params: Any) -> Any:
    """A user's function: skips by one element, and keeps a count of a kind."""
    del params
    last = [jnp.zeros(1), *jax.tree.leaves(updates)][-1]  # `tree_map_params` asks with a tree of no leaves
    first = last[(0,) * last.ndim]
    return first > 0.7, (gradient_step + 1, {"first": first})


_Wrapper = partial(Row, reduces=True, wraps=True)
_Newer = partial(_Wrapper, brief=True)
_Injected = partial(Row, wraps=True, mixed=False)


def arctangents() -> optax.GradientTransformation:
    """A transformation of another library that the IR has no counterpart for."""
    return optax.stateless_with_tree_map(lambda g, _: jnp.arctan(g))


ROWS = [
    Row(
        "apply_every",
        lambda lib: lib.chain(lib.trace(0.7), lib.apply_every(3)),
        sweeps=1,
        bytes=28,
        listed="apply_every(4)",
        wraps=True,
    ),
    _Wrapper(
        "apply_if_finite",
        lambda lib: lib.apply_if_finite(lib.lamb(0.1, 0.7, 0.95, 1e-4, 1e-5, 0.05, matrices_only), 1),
        sweeps=2,
        bytes=44,
        why=f"{FINITE}, as is the trust ratio",
        not_finite=True,
    ),
    _Wrapper(
        "apply_if_finite_clip",
        lambda lib: lib.apply_if_finite(lib.chain(lib.clip_by_global_norm(0.7), lib.adam(0.1)), 2),
        sweeps=2,
        bytes=32,
        why=FINITE,
        listed="apply_if_finite(adamw(1e-3), 5)",
        not_finite=True,
    ),
    _Wrapper(
        "multi_steps",
        lambda lib: lib.MultiSteps(inner(lib), 3),
        sweeps=1,
        bytes=36,
        listed="MultiSteps(adamw(1e-3), 4)",
    ),
    _Wrapper(
        "multi_steps_sum",
        lambda lib: lib.MultiSteps(inner(lib), growing, use_grad_mean=False),
        sweeps=1,
        bytes=36,
    ),
    _Wrapper(
        "multi_steps_not_finite",
        lambda lib: lib.MultiSteps(inner(lib), 2, True, lib.skip_not_finite),
        sweeps=2,
        bytes=40,
        why=FINITE,
        not_finite=True,
    ),
    _Wrapper(
        "multi_steps_large",
        lambda lib: lib.MultiSteps(inner(lib), 2, False, large(lib)),
        sweeps=2,
        bytes=40,
        why="whether the gradients are large is known only after all were read",
        not_finite=True,
    ),
    _Wrapper(
        "multi_steps_opaque_skip",
        lambda lib: lib.MultiSteps(inner(lib), 2, True, skip_some),
        sweeps=1,
        bytes=36,
        opaque=True,
    ),
    _Wrapper(
        "multi_steps_clip",
        lambda lib: lib.MultiSteps(lib.chain(lib.clip_by_global_norm(0.7), inner(lib)), 2),
        sweeps=2,
        bytes=44,
        why="the norm is known only after all gradients were added up",
    ),
    Row(
        "multi_steps_foreign",
        lambda lib: lib.MultiSteps(optax.adam(0.1, 0.8, 0.95, 1e-4, 1e-5), 2),
        sweeps=1,
        bytes=36,
        wraps=True,
        mixed=False,
    ),
    Row(
        "multi_steps_opaque",
        lambda lib: lib.MultiSteps(optax.chain(optax.adam(0.1, 0.8, 0.95, 1e-4, 1e-5), arctangents()), 2),
        sweeps=2,
        bytes=60.00,
        why=FOREIGN,
        memory=FOREIGN,
        fresh=True,
        wraps=True,
        mixed=False,
        opaque=True,
    ),
    Row(
        "multi_steps_dtype",
        lambda lib: lib.MultiSteps(inner(lib), 2, accumulator_dtype=jnp.bfloat16),
        sweeps=1,
        bytes=32,
        wraps=True,
        mixed=False,
    ),
    _Wrapper(
        "maybe_update",
        lambda lib: maybe_update(lib, inner(lib), lambda step: step % 3 != 1),
        sweeps=1,
        bytes=28,
    ),
    Row(
        "multi_transform",
        lambda lib: lib.multi_transform(by_rank_transforms(lib), by_rank),
        sweeps=1,
        bytes=27.99,
        wraps=True,
    ),
    _Wrapper(
        "multi_transform_prefix",
        lambda lib: lib.multi_transform({"a": lib.clip_by_global_norm(0.7), "b": lib.trace(0.7)}, by_turns),
        sweeps=2,
        bytes=17.24,
        why="the norm is known only after its gradients were read",
    ),
    _Newer(
        "conditionally_transform",
        lambda lib: lib.conditionally_transform(inner(lib), lambda step: step % 3 != 1),
        sweeps=1,
        bytes=28,
    ),
    _Newer(
        "conditionally_mask",
        lambda lib: lib.conditionally_mask(inner(lib), lambda step: step % 3 != 1),
        sweeps=1,
        bytes=28,
    ),
    _Newer(
        "selective_transform",
        lambda lib: lib.chain(lib.freeze(not_scalars), lib.selective_transform(inner(lib), freeze_mask=False)),
        sweeps=1,
        bytes=24,
    ),
    _Newer(
        "named_chain",
        lambda lib: lib.named_chain(("clip", lib.clip(0.9)), ("mean of them", lib.ema(0.7)), ("rate", lib.scale(-0.1))),
        sweeps=1,
        bytes=20,
    ),
    _Wrapper(
        "wrappers_nested",
        lambda lib: lib.chain(
            lib.clip(0.9),
            lib.masked(lib.apply_if_finite(lib.apply_if_finite(lib.adam(0.1), 2), 1), matrices_only),
            maybe_update(lib, lib.apply_every(2), lambda step: step > 1),
        ),
        sweeps=2,
        bytes=39.98,
        why=FINITE,
    ),
    _Injected(
        "inject_hyperparams",
        lambda lib: inject(
            lib, lib.adamw, learning_rate=0.1, b1=0.8, b2=0.95, eps=1e-4, eps_root=1e-5, weight_decay=0.05
        ),
        sweeps=1,
        bytes=28,
    ),
    _Injected(
        "inject_hyperparams_schedule",
        lambda lib: inject(lib, lib.sgd, learning_rate=halving(lib), momentum=0.7, nesterov=True),
        sweeps=1,
        bytes=20,
    ),
    _Injected(
        "inject_hyperparams_factory",
        lambda lib: inject(
            lib, lambda rate, beta: lib.chain(lib.ema(1 - beta), lib.scale(-rate / 2)), rate=0.3, beta=0.2
        ),
        sweeps=1,
        bytes=20,
    ),
]
