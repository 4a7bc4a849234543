"""The linear assignment problem, by shortest augmenting paths."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from optcc.errors import message


class _Search(NamedTuple):
    """A search for the cheapest path from a row to a free column.

    Per column: ``distance`` from the row, ``origin``, the row before it on the path, and whether it is ``done``.
    """

    distance: jax.Array
    origin: jax.Array
    done: jax.Array
    row: jax.Array
    reached: jax.Array
    free_column: jax.Array


class _Matching(NamedTuple):
    """The rows assigned so far: prices of rows and columns, and the partner of each column and row, or -1."""

    row_price: jax.Array
    column_price: jax.Array
    row_of: jax.Array
    column_of: jax.Array


def hungarian_algorithm(cost_matrix: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """The cheapest assignment of rows to columns, each used at most once.

    Args:
      cost_matrix: real, shape ``[n, m]``. A cost of infinity is avoided where that is possible.

    Returns:
      Rows ``i``, in rising order, and their columns ``j``, both of length ``min(n, m)``, such that
      ``cost_matrix[i, j].sum()`` is the least. Time is ``O(min(n, m)**2 * max(n, m))``.

    Raises:
      ValueError: ``cost_matrix`` is no matrix.

    References: Kuhn, *The Hungarian Method for the Assignment Problem*, 1955; Crouse, *On implementing 2D rectangular
    assignment algorithms*, 2016.
    """
    costs = jnp.asarray(cost_matrix)
    if costs.ndim != 2:
        raise ValueError(
            message(f"hungarian_algorithm: cost_matrix has the shape {costs.shape}", fix="pass a matrix of costs")
        )
    if 0 in costs.shape:
        return jnp.zeros(0, jnp.int32), jnp.zeros(0, jnp.int32)
    costs = _finite(costs.astype(jnp.promote_types(costs.dtype, jnp.float32)))
    if costs.shape[0] <= costs.shape[1]:
        return jnp.arange(costs.shape[0], dtype=jnp.int32), _columns(costs)
    rows = _columns(costs.T)
    order = jnp.argsort(rows)
    return rows[order], order.astype(jnp.int32)


def base_hungarian_algorithm(cost_matrix: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """`hungarian_algorithm`; Optax has a second implementation under this name, here it is the same one."""
    return hungarian_algorithm(cost_matrix)


def _finite(costs: jax.Array) -> jax.Array:
    """Infinite costs replaced by one that no number of other costs outweighs."""
    is_finite = jnp.isfinite(costs)
    spread = jnp.max(costs, initial=0, where=is_finite) - jnp.min(costs, initial=0, where=is_finite)
    forbidden = (spread + 1) * (min(costs.shape) + 1)
    return jnp.where(jnp.isposinf(costs), forbidden, costs)


def _columns(costs: jax.Array) -> jax.Array:
    """The column of each row, for a matrix that has no more rows than columns."""
    rows, columns = costs.shape
    free = _Matching(
        jnp.zeros(rows, costs.dtype),
        jnp.zeros(columns, costs.dtype),
        jnp.full(columns, -1, jnp.int32),
        jnp.full(rows, -1, jnp.int32),
    )
    return lax.fori_loop(0, rows, lambda row, matching: _assign(costs, matching, row), free).column_of


def _assign(costs: jax.Array, matching: _Matching, row: jax.Array) -> _Matching:
    """Assign one more row: along the cheapest path, columns change hands."""
    found = _cheapest_path(costs, matching, row)
    # The columns on the way become cheaper by what they were closer, the rows that hold them dearer.
    saved = jnp.where(found.done, found.reached - found.distance, 0)
    holder = jnp.where(found.done, matching.row_of, -1)
    row_price = matching.row_price.at[jnp.where(holder < 0, costs.shape[0], holder)].add(saved, mode="drop")
    row_of, column_of = _exchange(found, matching, row)
    return _Matching(row_price.at[row].add(found.reached), matching.column_price - saved, row_of, column_of)


def _cheapest_path(costs: jax.Array, matching: _Matching, row: jax.Array) -> _Search:
    """Dijkstra's algorithm over columns, at the costs less the prices."""
    columns = costs.shape[1]
    largest = jnp.finfo(costs.dtype).max
    none = jnp.int32(-1)

    def step(s: _Search) -> _Search:
        distance = s.reached + costs[s.row] - matching.row_price[s.row] - matching.column_price
        closer = ~s.done & (distance < s.distance)
        distance = jnp.where(closer, distance, s.distance)
        # Below infinity, so that no column is taken twice, whatever the costs.
        column = jnp.argmin(jnp.where(s.done, jnp.inf, jnp.minimum(distance, largest))).astype(jnp.int32)
        holder = matching.row_of[column]
        return _Search(
            distance,
            jnp.where(closer, s.row, s.origin),
            s.done.at[column].set(True),
            jnp.where(holder < 0, s.row, holder),
            distance[column],
            jnp.where(holder < 0, column, none),
        )

    start = _Search(
        jnp.full(columns, jnp.inf, costs.dtype),
        jnp.full(columns, -1, jnp.int32),
        jnp.zeros(columns, bool),
        jnp.int32(row),
        jnp.zeros((), costs.dtype),
        none,
    )
    return lax.while_loop(lambda s: s.free_column < 0, step, start)


def _exchange(found: _Search, matching: _Matching, row: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Give each column on the path to the row before it, from the free column back to the new row."""

    def step(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        column, row_of, column_of = carry
        holder = found.origin[column]
        left = column_of[holder]
        return left, row_of.at[column].set(holder), column_of.at[holder].set(column)

    # The new row leaves no column behind.
    start = (found.free_column, matching.row_of, matching.column_of)
    return lax.while_loop(lambda carry: carry[0] >= 0, step, start)[1:]
