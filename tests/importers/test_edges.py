"""What else foreign functions do: effects, loops, conditions, arrays of their own, keys; and what becomes of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest

import optcc
from tests.importers.chains import follow, gradients, opaque_parts
from tests.trees import ragged


def of_leaves(function: Callable[[list[Any]], list[Any]]) -> Any:
    """A pair without a state from a function of the leaves."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        leaves, structure = jax.tree.flatten(updates)
        return structure.unflatten(function(leaves)), state

    pair: Any = optax.GradientTransformation
    return pair(lambda params: (), update)


def printing(leaves: list[Any]) -> list[Any]:
    jax.debug.print("sum {}", jnp.sum(leaves[0]))
    return [-0.1 * x for x in leaves]


def printing_in_a_branch(leaves: list[Any]) -> list[Any]:
    def loud(x: Any) -> Any:
        jax.debug.print("sum {}", x)
        return -0.1 * x

    factor = jax.lax.cond(jnp.sum(leaves[1]) > 0, loud, lambda x: x, jnp.asarray(1.0))
    return [factor * x for x in leaves]


def positions(leaves: list[Any]) -> list[Any]:
    return [x * jnp.arange(x.size, dtype=x.dtype).reshape(x.shape) for x in leaves]


def scanned(leaves: list[Any]) -> list[Any]:
    return [jax.lax.scan(lambda y, _: (0.9 * y, None), x, length=3)[0] for x in leaves]


def looped(leaves: list[Any]) -> list[Any]:
    return [jax.lax.while_loop(lambda y: jnp.sum(jnp.abs(y)) > 1, lambda y: 0.5 * y, x) for x in leaves]


def first_twice(leaves: list[Any]) -> list[Any]:
    total = jnp.sum(leaves[-1]) + jnp.sum(leaves[-2]) + jnp.sum(leaves[-1])
    return [x * total for x in leaves]


OPAQUE: dict[str, tuple[Callable[[list[Any]], list[Any]], str]] = {
    "print": (printing, "effects besides its results: .*Debug"),
    "print in a branch": (printing_in_a_branch, "effects besides its results: .*Debug"),
    "positions": (positions, r"iota\(.*\) at test_edges.py:\d+: the IR has no counterpart"),
    "scan": (scanned, r"scan\(.*\) at test_edges.py:\d+: the IR has no counterpart"),
    "while": (looped, r"while\(.*\) at test_edges.py:\d+: the IR has no counterpart"),
}
"""A function, and the reason that is reported."""


@pytest.mark.parametrize("name", OPAQUE)
def test_what_is_not_imported_computes_the_same_and_says_why(name: str):
    function, why = OPAQUE[name]
    compiled = follow(of_leaves(function), ragged(0), gradients, steps=2)
    assert re.search(why, opaque_parts(compiled)["update"])
    assert "opaque call 'update'" in str(compiled.report())


def test_an_effect_happens_once_a_step(capfd: pytest.CaptureFixture[str]):
    params = {"w": jnp.ones(3)}
    compiled = optcc.compile(of_leaves(printing), params)
    state = compiled.init(params)
    for _ in range(2):
        params, state = compiled.step({"w": jnp.ones(3)}, state, params)
    jax.effects_barrier()
    assert capfd.readouterr().out.count("sum 3.0") == 2


def other_leaf(leaves: list[Any]) -> list[Any]:
    """A condition on the sum of another leaf, also behind itself."""
    positive = jnp.sum(leaves[-1]) > 0
    guarded = [jnp.where(positive, x, jnp.ones_like(x)) for x in leaves]
    return [jnp.where(positive, x / (1 + jnp.abs(y)), -y) for x, y in zip(guarded, leaves, strict=True)]


def branches(leaves: list[Any]) -> list[Any]:
    """A condition for all leaves, of one of them, by `cond` and `switch`."""
    some = jax.lax.cond(jnp.sum(leaves[-1]) > 0, lambda t: [2 * x for x in t], lambda t: [-x for x in t], leaves)
    which = jnp.int32(jnp.sign(jnp.sum(leaves[-2])) + jnp.sign(jnp.sum(leaves[-1])))
    return [jax.lax.switch(which, [lambda y: y, lambda y: 3 * y, jnp.tanh], x) for x in some]


def norm_of_clipped(leaves: list[Any]) -> list[Any]:
    """Folds of what a fold over all leaves has scaled."""
    norm = jnp.sqrt(sum(jnp.sum(x * x) for x in leaves))
    clipped = [x / (1 + norm) for x in leaves]
    again = sum(jnp.sum(jnp.abs(x)) for x in clipped)
    return [x * again / (1 + jnp.sum(x * x)) for x in clipped]


@pytest.mark.parametrize("function", [other_leaf, branches, first_twice, norm_of_clipped])
def test_numbers_of_other_leaves_and_of_all_are_imported(function: Callable[[list[Any]], list[Any]]):
    compiled = follow(of_leaves(function), ragged(0), gradients, steps=4)
    assert not opaque_parts(compiled)


@pytest.mark.parametrize("in_chain", [False, True])
def test_a_typed_key_in_a_foreign_state_is_refused(in_chain: bool):
    params = ragged(0)
    foreign: Any = optax.add_noise(0.1, 0.5, key=jax.random.key(0))
    tx = optcc.chain(optcc.clip(1.0), foreign) if in_chain else foreign
    with pytest.raises(TypeError, match=r"typed random key(.|\n)*rng_key(.|\n)*key_data"):
        optcc.compile(tx, params).init(params)
