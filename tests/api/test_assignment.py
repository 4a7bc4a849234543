"""Assignments against scipy, and what infinite costs do."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from optcc.assignment import base_hungarian_algorithm, hungarian_algorithm

SHAPES = [(1, 1), (4, 4), (3, 7), (7, 3), (1, 5), (12, 12)]


def total(costs: Any, assignment: Any) -> float:
    rows, columns = (np.asarray(x) for x in assignment)
    assert len(set(rows)) == len(set(columns)) == len(rows) == min(costs.shape)
    assert (np.diff(rows) > 0).all()
    return float(costs[rows, columns].sum())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["normal", "integers", "far", "equal"])
def test_least_total(shape: tuple[int, int], kind: str):
    rng = np.random.default_rng(sum(shape))
    costs = {
        "normal": rng.normal(size=shape),
        "integers": rng.integers(-5, 5, size=shape),
        "far": 100 + 10 * rng.random(shape),
        "equal": np.ones(shape),
    }[kind]
    expected = total(costs, linear_sum_assignment(costs))
    assert total(costs, hungarian_algorithm(jnp.asarray(costs))) == pytest.approx(expected, rel=1e-5)


def test_under_jit_and_vmap():
    costs = np.random.default_rng(3).normal(size=(6, 5, 8))
    rows, columns = jax.jit(jax.vmap(base_hungarian_algorithm))(jnp.asarray(costs))
    for matrix, i, j in zip(costs, rows, columns, strict=True):
        assert total(matrix, (i, j)) == pytest.approx(total(matrix, linear_sum_assignment(matrix)), rel=1e-5)


def test_infinite_costs_are_avoided():
    costs = np.array([[np.inf, 9.0, 1.0], [2.0, np.inf, 1.5], [np.inf, np.inf, 1.0]])
    _, columns = hungarian_algorithm(jnp.asarray(costs))
    np.testing.assert_array_equal(columns, [1, 0, 2])
    # Where they cannot be, there are as few as possible.
    _, columns = hungarian_algorithm(jnp.full((3, 3), jnp.inf).at[0, 1].set(5.0))
    assert columns[0] == 1
    assert sorted(int(c) for c in columns) == [0, 1, 2]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_nothing_to_assign(shape: tuple[int, int]):
    assert [len(x) for x in hungarian_algorithm(jnp.zeros(shape))] == [0, 0]


def test_no_matrix():
    with pytest.raises(ValueError, match=r"cost_matrix has the shape \(3,\)"):
        hungarian_algorithm(jnp.zeros(3))
