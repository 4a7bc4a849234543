"""Gradients of other dtypes than the parameters, as mixed precision has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.runtime.test_hyperparams import backends
from tests.trees import RAGGED, assert_relative, matrices_only

CHAINS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda lib: lib.sgd(0.1),
    "momentum": lambda lib: lib.sgd(0.1, 0.9),
    "clip_adamw": lambda lib: lib.chain(lib.clip_by_global_norm(0.7), lib.adamw(0.1, mask=matrices_only)),
    "lamb": lambda lib: lib.lamb(0.1),
}
DTYPES = [(jnp.float32, jnp.bfloat16), (jnp.bfloat16, jnp.float32), (jnp.float32, jnp.float16)]
mixed = pytest.mark.parametrize(("kept", "given"), DTYPES, ids=lambda x: jnp.dtype(x).name)


def copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


@backends
@mixed
@pytest.mark.parametrize("name", CHAINS)
def test_step_and_update(name: str, kept: Any, given: Any, backend: str):
    """What the pair gives; the parameters and the state keep their dtypes."""
    tx = CHAINS[name](optcc)
    params, grads = RAGGED.fill(0, kept), RAGGED.fill(1, given)
    opt = optcc.compile(tx, params, backend=backend)
    state = tx.init(params)
    updates, new_state = jax.jit(tx.update)(grads, state, params)
    rtol = 2e-6 if kept == jnp.float32 else 1e-2
    assert_relative(jax.jit(opt.update)(grads, state, params), (updates, new_state), rtol=rtol, what="update")
    expected = optcc.apply_updates(params, updates), new_state
    assert_relative(opt.interpret_step(grads, state, params), expected, rtol=rtol, what="interpreted")
    got = opt.step(grads, opt.init(params), copied(params))
    assert_relative(got, expected, rtol=rtol, what="step")


@pytest.mark.parametrize("name", ["momentum", "clip_adamw", "lamb"])
def test_values_are_those_of_widened_gradients(name: str):
    """bfloat16 gradients are read in float32: nothing is rounded but what is given.

    The updates of plain sgd have the dtype of the gradients, as Optax's, and are rounded to that.
    """
    params, grads = RAGGED.fill(0), RAGGED.fill(1, jnp.bfloat16)
    opt, theirs = optcc.compile(CHAINS[name](optcc), params), CHAINS[name](optax)
    wide = jax.tree.map(lambda x: x.astype(jnp.float32), grads)
    expected, _ = jax.jit(theirs.update)(wide, theirs.init(params), params)
    new, _ = opt.step(grads, opt.init(params), copied(params))
    assert_relative(new, optax.apply_updates(params, expected), rtol=2e-5)


@backends
def test_either_dtype_in_turn(backend: str):
    """One optimizer takes both, each leaf in its own dtype, and compiles once for each."""
    params = {"a": jnp.ones(5), "b": jnp.ones((2, 3))}
    opt = optcc.compile(optcc.adam(0.1), params, backend=backend)
    state, seen = opt.init(params), []
    for a, b in [("float32",) * 2, ("bfloat16",) * 2, ("float32",) * 2, ("bfloat16", "float32"), ("bfloat16",) * 2]:
        grads = {"a": jnp.full(5, 0.5, a), "b": jnp.full((2, 3), 0.5, b)}
        params, state = opt.step(grads, state, params)
        seen.append(float(params["a"][0]))
    np.testing.assert_allclose(seen, [0.9, 0.8, 0.7, 0.6, 0.5], rtol=1e-5)


def test_gradients_are_read_in_their_own_dtype():
    params = {"w": jnp.ones((256, 1024))}
    grads = {"w": jax.ShapeDtypeStruct((256, 1024), jnp.bfloat16)}
    wide, narrow = optcc.compile(optcc.adamw(0.1), params), optcc.compile(optcc.adamw(0.1), params, grads=grads)
    assert "tensor<256x1024xbf16>" in narrow.stablehlo()
    assert "tensor<256x1024xbf16>" not in wide.stablehlo()
    sizes = [sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(opt.lowered.in_avals)) for opt in (wide, narrow)]
    assert sizes[0] - sizes[1] == 2 * 256 * 1024


def test_what_is_still_refused():
    params = {"w": jnp.ones(3)}
    opt = optcc.compile(optcc.sgd(0.1), params)
    for grads in ({"w": jnp.ones(4, jnp.bfloat16)}, {"v": jnp.ones(3, jnp.bfloat16)}, {"w": jnp.ones(3, jnp.int32)}):
        for call in (opt.step, opt.update):
            with pytest.raises(optcc.TreeMismatchError, match="leaf grads"):
                call(grads, opt.init(params), copied(params))
    with pytest.raises(optcc.TreeMismatchError, match="leaf grads"):
        optcc.compile(optcc.sgd(0.1), params, grads={"w": jnp.ones(4)})
    with pytest.raises(optcc.TreeMismatchError, match="leaf state"):
        opt.step({"w": jnp.ones(3, jnp.bfloat16)}, optcc.adam(0.1).init(params), copied(params))
