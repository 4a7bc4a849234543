"""Random chains of the table's rows, and random trees and values, for hypothesis."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import strategies as st

import optcc
from optcc.expressions.functions import callables
from tests.table import TABLE
from tests.trees import RAGGED, matrices_only

numbers = st.floats(0.05, 0.95).map(lambda x: round(x, 3))
small = st.sampled_from([1e-4, 1e-3, 0.1])
dtypes = st.sampled_from([jnp.float32, jnp.bfloat16])
flags = st.booleans()


class Drawn:
    """optcc for `Row.make`, but with numbers, flags and dtypes that are drawn in place of the row's."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.contrib = self

    def __getattr__(self, name: str) -> Any:
        if name not in callables():
            return getattr(optcc, name)
        function = callables()[name]

        def call(*args: Any, **keywords: Any) -> Any:
            return function(*map(self.other, args), **{key: self.other(x) for key, x in keywords.items()})

        return call

    def other(self, value: Any) -> Any:
        """A value like this one: numbers between 0 and 1 stay there and keep their sign and rough size."""
        if isinstance(value, bool):
            return self.draw(flags)
        if value in (jnp.float32, jnp.bfloat16):
            return self.draw(dtypes)
        if isinstance(value, float) and 0 < abs(value) < 1:
            return float(np.copysign(self.draw(numbers if abs(value) >= 0.05 else small), value))
        return value


ROWS = [
    row
    for row in TABLE
    if RAGGED in row.leaves and row.inputs == "arrays" and row.mixed and not row.discrete and not row.opaque
]
"""Not those with a sign, since one ulp before it is a full step after it."""


@st.composite
def one_row(draw: st.DrawFn) -> Any:
    row = ROWS[draw(st.integers(0, len(ROWS) - 1))]  # hypothesis prints the arguments of strategies, and rows are long
    return (row.drawn or row.make)(Drawn(draw))


def _every_other(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, [i % 2 == 0 for i in range(len(leaves))])


masks = st.sampled_from([_every_other, matrices_only])
foreign = st.builds(optax.scale_by_rss, numbers)
"""An opaque call."""

transformations = st.recursive(
    st.one_of(one_row(), one_row(), foreign),
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
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            return jnp.asarray(rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape), x.dtype)
        return jnp.asarray(rng.normal(size=x.shape), x.dtype)

    return jax.tree.map(leaf, shapes_tree)


def fill_state(shapes_tree: Any, seed: int) -> Any:
    """As `fill`, but not negative: second moments are under a root."""
    return jax.tree.map(lambda x: abs(x), fill(shapes_tree, seed))
