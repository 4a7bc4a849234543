"""Random chains and trees for hypothesis."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import strategies as st

import optcc

numbers = st.floats(0.05, 0.95).map(lambda x: round(x, 3))
small = st.sampled_from([1e-4, 1e-3, 0.1])
dtypes = st.sampled_from([None, jnp.float32, jnp.bfloat16])
flags = st.booleans()

schedules = st.one_of(
    st.builds(optcc.linear_schedule, numbers, numbers, st.integers(1, 5)),
    st.builds(optcc.cosine_decay_schedule, numbers, st.integers(1, 5), small),
    st.builds(optcc.exponential_decay, numbers, st.integers(1, 4), numbers),
    st.builds(optcc.constant_schedule, numbers),
)


def _every_other(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, [i % 2 == 0 for i in range(len(leaves))])


def _matrices(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, tree)


masks = st.sampled_from([_every_other, _matrices])

elementary = st.one_of(
    st.builds(optcc.identity),
    st.builds(optcc.scale, numbers),
    st.builds(optcc.scale_by_schedule, schedules),
    st.builds(optcc.scale_by_learning_rate, st.one_of(numbers, schedules)),
    st.builds(optcc.clip, numbers),
    st.builds(optcc.clip_by_global_norm, numbers),
    st.builds(optcc.trace, numbers, flags, dtypes),
    st.builds(optcc.ema, numbers, flags, dtypes),
    st.builds(optcc.scale_by_adam, numbers, numbers, small, small, dtypes, nesterov=flags),
    st.builds(optcc.scale_by_rms, numbers, small, numbers, flags, flags),
    st.builds(optcc.scale_by_lion, numbers, numbers, dtypes, mode=st.just("refined")),
    st.builds(optcc.scale_by_trust_ratio, small, numbers, small),
    st.builds(optcc.add_decayed_weights, st.one_of(numbers, schedules), st.one_of(st.none(), masks)),
    st.builds(optcc.scale_by_rss, numbers, small),
    st.builds(optcc.scale_by_belief, numbers, numbers, small, small, nesterov=flags),
    st.builds(optcc.scale_by_yogi, numbers, numbers, small, small, numbers),
    st.builds(optcc.scale_by_amsgrad, numbers, numbers, small, small, dtypes, flags, flags),
    st.builds(optcc.scale_by_radam, numbers, numbers, small, small, nesterov=flags),
    st.builds(optcc.scale_by_stddev, numbers, st.just(100.0)),  # random moments may have a negative variance
    st.builds(optcc.scale_by_adamax, numbers, numbers, small),
    st.builds(optcc.scale_by_novograd, numbers, numbers, small, small, numbers, dtypes),
    st.builds(optcc.scale_by_optimistic_gradient, numbers, numbers),
    st.builds(optcc.scale_by_param_block_norm, numbers),
    st.builds(optcc.scale_by_param_block_rms, numbers),
    st.builds(optcc.clip_by_block_rms, numbers),
    st.builds(optcc.keep_params_nonnegative),
    st.builds(optcc.zero_nans),
    st.builds(optcc.set_to_zero),
    st.builds(optax.scale_by_rss, numbers),  # foreign: an opaque call
)
"""Lion only without its sign: one ulp before a sign is a full step after it."""

transformations = st.recursive(
    elementary,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda txs: optcc.chain(*txs)),
        st.builds(optcc.masked, inner, masks),
    ),
    max_leaves=4,
)

shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """A list or dict of one to five arrays of random shape, some in bfloat16."""
    leaves = draw(
        st.lists(st.tuples(shapes, st.sampled_from([jnp.float32, jnp.float32, jnp.bfloat16])), min_size=1, max_size=5)
    )
    made = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in leaves]
    return made if draw(flags) else {f"leaf{i}": x for i, x in enumerate(made)}


def fill(shapes_tree: Any, seed: int) -> Any:
    """Random arrays of given shapes and dtypes; integers become small counts, bools random."""
    rng = np.random.default_rng(seed)

    def leaf(x: Any) -> Any:
        if jnp.issubdtype(x.dtype, jnp.integer):
            return jnp.asarray(rng.integers(0, 5, x.shape), x.dtype)
        return jnp.asarray(rng.normal(size=x.shape), x.dtype)

    return jax.tree.map(leaf, shapes_tree)


def fill_state(shapes_tree: Any, seed: int) -> Any:
    """As `fill`, but not negative: second moments are under a root."""
    return jax.tree.map(lambda x: abs(x), fill(shapes_tree, seed))
