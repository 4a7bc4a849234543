"""What has no counterpart is called, and the rest of its function is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.dialect import CallOp, LeavesOp, MapOp, TreeType
from optcc.importers.opaque_parts import Part
from tests.importers.chains import follow, gradients, opaque_parts
from tests.trees import ragged

RAMP = np.linspace(0.5, 1.5, 7, dtype=np.float32)


def with_moment(last: Callable[[Any], Any], bound: float = 10.0) -> Any:
    """A momentum whose average passes through a function of each leaf, and then through another map."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        moment = jax.tree.map(lambda m, g: (0.9 * m + g).astype(m.dtype), state, updates)
        return jax.tree.map(lambda m: jnp.clip(-0.1 * last(m), -bound, bound).astype(m.dtype), moment), moment

    pair: Any = optax.GradientTransformation
    return pair(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def flat(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: function(x.reshape(-1)).reshape(x.shape)


def with_noise() -> Any:
    """Noise by a legacy key in the state, whose numbers depend on no leaf."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        key, new = jax.random.split(state)
        leaves, structure = jax.tree.flatten(updates)
        keys = jax.random.split(key, len(leaves))
        noise = [jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
        return structure.unflatten([-0.1 * (x + 0.01 * n) for x, n in zip(leaves, noise, strict=True)]), new

    pair: Any = optax.GradientTransformation
    return pair(lambda params: jax.random.PRNGKey(3), update)


PAIRS: dict[str, tuple[Any, str]] = {
    "cumsum": (with_moment(flat(jnp.cumsum)), "cumsum"),
    "sort and back": (with_moment(flat(lambda x: jnp.sort(x)[::-1])), "sort"),
    "product": (with_moment(lambda x: x @ (x.T @ x) if x.ndim == 2 else x), "dot_general"),
    "median": (with_moment(lambda x: x / (1 + jnp.abs(jnp.median(x))) if x.size else x), "sort"),
    "an array of its own": (with_moment(lambda x: x * RAMP if x.shape == (7,) else x), "an array that is no leaf's"),
    "twice": (with_moment(lambda x: flat(jnp.cumsum)(jnp.tanh(flat(jnp.cumsum)(x)))), "cumsum"),
    "noise": (with_noise(), "random_wrap|random_bits|threefry|random_unwrap"),
    "factored": (optax.adafactor(0.1, min_dim_size_to_factor=2), "an array that is no leaf's"),
    "flatten": (optax.flatten(optax.adam(0.1)), "concatenate|an array that is no leaf's"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_numbers_are_those_of_the_original(name: str):
    tx, why = PAIRS[name]
    compiled = follow(tx, ragged(0), gradients, steps=3)
    reasons = " ".join(opaque_parts(compiled).values())
    assert any(part in reasons for part in why.split("|")), reasons


@pytest.mark.parametrize("name", ["cumsum", "product"])
def test_narrow_leaves(name: str):
    params = ragged(0, jnp.bfloat16)
    compiled = follow(PAIRS[name][0], params, lambda step: gradients(step, jnp.bfloat16), steps=1, rtol=3e-2)
    assert opaque_parts(compiled)


def test_only_the_level_of_the_equation_is_called():
    """The moment is in the IR; the call takes the moment and gives one tree, for the leaves that have the equation."""
    tx, _ = PAIRS["product"]
    compiled = optcc.compile(tx, ragged(0))
    ops = list(compiled.program.update.op.body.block.ops)
    (call,) = [op for op in ops if isinstance(op, CallOp)]
    trees = [v for v in call.operands if isinstance(v.type, TreeType)]
    assert len(trees) == len(call.results) == 1
    assert isinstance(trees[0].owner, MapOp)
    leaves = {op.sym_name.data: op for op in compiled.program.module.ops if isinstance(op, LeavesOp)}
    type_ = call.results[0].type
    assert isinstance(type_, TreeType)
    assert [leaf.path for leaf in leaves[type_.leaves.string_value()].leaves] == ["empty", "odd"]
    assert "arith.addf" in compiled.ir("optim").partition("optim.call")[0]
    report = str(compiled.report())
    assert "the traffic of an opaque call is not counted" in report
    assert "test_parts.py:" in report


def test_equations_of_two_levels_are_two_calls():
    compiled = optcc.compile(PAIRS["twice"][0], ragged(0))
    assert compiled.ir("optim").count("optim.call") == 2


def test_a_call_that_mixes_its_arrays_up_is_caught_by_comparison(monkeypatch: pytest.MonkeyPatch):
    """What runs inside a call is no part of the check."""
    evaluate = Part.evaluate

    def reversed_equations(self: Part, arrays: Any) -> Any:
        read = evaluate(self, arrays)
        return lambda atom: -read(atom)

    monkeypatch.setattr(Part, "evaluate", reversed_equations)
    with pytest.raises(AssertionError):
        follow(PAIRS["cumsum"][0], ragged(0), gradients, steps=1)


def test_in_a_chain_and_under_vmap():
    params = ragged(0)
    tx = optcc.chain(optcc.clip(0.5), PAIRS["cumsum"][0], optcc.scale(0.5))
    compiled = follow(tx, params, gradients, steps=2)
    state = compiled.init(params)
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), *(gradients(i) for i in range(3)))
    found = jax.vmap(lambda g: compiled.update(g, state, params)[0])(grads)
    for i in range(3):
        one = compiled.update(gradients(i), state, params)[0]
        for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(one), strict=True):
            np.testing.assert_allclose(x[i], y, rtol=1e-5, atol=1e-6)
