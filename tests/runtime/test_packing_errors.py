"""Layouts that do not fit, and the choice of a layout."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.params import load_params
from optcc.runtime.packed_trees import PackedState

# Errors

HERE = {"a": jnp.ones((3, 4)), "deep": [jnp.ones((5,)), jnp.ones((2,))]}


def change(**leaves: Any) -> Any:
    return {**HERE, **leaves}


@pytest.mark.parametrize(
    ("other", "leaf", "text"),
    [
        (change(a=jnp.ones((4, 3))), "a", r"float32\[4, 3\], this optimizer float32\[3, 4\]"),
        (change(a=jnp.ones((3, 4), jnp.bfloat16)), "a", r"bfloat16\[3, 4\], this optimizer float32"),
        (change(deep=[jnp.ones((5,))]), "deep.1", r"no such leaf, this optimizer float32\[2\]"),
        (change(more=jnp.ones((1,))), "more", r"float32\[1\], this optimizer no such leaf"),
        (change(deep=(jnp.ones((5,)), jnp.ones((2,)))), "deep.0", "in a tuple, in this optimizer it is in a list"),
    ],
    ids=["shape", "dtype", "missing", "more", "structure"],
)
def test_packed_for_other_parameters(other: Any, leaf: str, text: str):
    ours = optcc.compile(optcc.adam(0.1), HERE, layout="packed", backend="stablehlo")
    theirs = optcc.compile(optcc.adam(0.1), other, layout="packed", backend="stablehlo")
    state, packed = theirs.init(other), theirs.pack(other)
    for call in (
        lambda: ours.unpack_state(state),
        lambda: ours.unpack(packed),
        lambda: ours.step(HERE, state, HERE),
        lambda: ours.step(ours.pack(HERE), ours.init(HERE), packed),
        lambda: ours.step(packed, ours.init(HERE), HERE),
        lambda: ours.update(HERE, state, HERE),
        lambda: ours.init(packed),
    ):
        with pytest.raises(optcc.TreeMismatchError, match=text) as error:
            call()
        assert re.search(rf"leaf '(0\.mu\.)?{leaf}'", str(error.value))


def test_state_of_another_optimizer():
    """Two chains over the same parameters: another slot, and the same slots in another class."""
    ours, theirs = (optcc.compile(tx, HERE, layout="packed") for tx in (optcc.adam(0.1), optcc.sgd(0.1, 0.9)))
    with pytest.raises(optcc.TreeMismatchError, match=r"leaf '0\.trace\.a'"):
        ours.unpack_state(theirs.init(HERE))
    belief = optcc.compile(optcc.adabelief(0.1), HERE, layout="packed")
    with pytest.raises(optcc.TreeMismatchError, match="ScaleByBeliefState"):
        ours.unpack_state(belief.init(HERE))


def test_unpacked_and_wrong_arguments():
    compiled = optcc.compile(optcc.adam(0.1), HERE, layout="packed", backend="stablehlo")
    with pytest.raises(optcc.TreeMismatchError, match=r"leaf params\['a'\]"):
        compiled.pack(change(a=jnp.ones((2,))))
    with pytest.raises(optcc.TreeMismatchError, match="leaf state"):
        compiled.pack_state(optcc.adam(0.1).init(change(a=jnp.ones((2,)))))
    other = optcc.compile(optcc.adam(0.1), change(a=jnp.ones((2,))), layout="packed", backend="stablehlo")
    with pytest.raises(optcc.TreeMismatchError, match="leaf 'a'"):
        compiled.update(other.pack(change(a=jnp.ones((2,)))), compiled.init(HERE), HERE)


# The layout


def test_auto_packs_small_leaves():
    small = {f"p{i}": jax.ShapeDtypeStruct((100,), jnp.float32) for i in range(50)}
    assert optcc.compile(optcc.adamw(0.1), small, layout="auto").layout == "packed"
    assert optcc.compile(optcc.adamw(0.1), load_params("gpt2"), layout="auto").layout == "tree"
    assert optcc.compile(optcc.adamw(0.1), small).layout == "tree"
    params = jax.tree.map(lambda s: jnp.ones(s.shape), small)
    assert isinstance(optcc.compile(optcc.adamw(0.1), params, layout="auto").init(params), PackedState)


def test_unknown_layout():
    with pytest.raises(ValueError, match=r"unknown layout 'flat'\n.*one of tree, packed, tiled, auto"):
        optcc.compile(optcc.adam(0.1), HERE, layout="flat")


@pytest.mark.parametrize("change", ["truncated", "padded", "retyped", "reshaped"])
def test_arrays_that_are_not_of_their_slots(change: str):
    """What a damaged checkpoint restores: an array of another size would be unpacked to shifted values."""
    opt = optcc.compile(optcc.adam(0.1), HERE, layout="packed", backend="stablehlo")
    damage: Any = {
        "truncated": lambda x: x[:-16] if x.ndim else x,
        "padded": lambda x: jnp.pad(x, (0, 16)) if x.ndim else x,
        "retyped": lambda x: x.astype(jnp.bfloat16) if x.ndim else x,
        "reshaped": lambda x: x[None] if x.ndim else x,
    }[change]
    state, params = (jax.tree.map(damage, x) for x in (opt.init(HERE), opt.pack(HERE)))
    for call in (
        lambda: opt.unpack_state(state),
        lambda: opt.to_optax(state),
        lambda: opt.unpack(params),
        lambda: opt.init(params),
        lambda: opt.update(HERE, state, HERE),
        lambda: opt.update(params, opt.init(HERE), HERE),
        lambda: opt.step(HERE, state, HERE),
        lambda: opt.step(HERE, opt.init(HERE), params),
        lambda: opt.step(params, opt.init(HERE), opt.pack(HERE)),
        lambda: opt.interpret_step(HERE, state, HERE),
    ):
        with pytest.raises(optcc.TreeMismatchError, match=r"but its layout says float32\[\d+\]\n  where: slot '"):
            call()
