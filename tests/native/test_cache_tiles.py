"""Sweeps in blocks of leaves: the same results as on all leaves at once, one block after the other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.lowering import cache_tiles
from optcc.runtime import native
from optcc.runtime.executables import EXECUTABLES

pytestmark = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())

CHAINS: dict[str, Callable[[], Any]] = {
    "adafactor": lambda: optcc.adafactor(1e-2),
    "lamb": lambda: optcc.lamb(1e-2),
    "lars": lambda: optcc.lars(1e-2),
    "novograd": lambda: optcc.novograd(1e-2),
    "clip_by_block_rms": lambda: optcc.chain(optcc.clip_by_block_rms(0.1), optcc.adamw(1e-2)),
    "masked": lambda: optcc.chain(optcc.masked(optcc.clip_by_block_rms(0.1), MASK), optcc.lamb(1e-2)),
}
MASK = {"a": True, "b": False, "c": {"w": True, "s": False, "e": True}, "d": False, "h": True}


def tree(seed: int) -> Any:
    """Large and small leaves, of two dtypes."""
    rng = np.random.default_rng(seed)

    def array(*shape: int) -> Any:
        return jnp.asarray(rng.standard_normal(shape), jnp.float32)

    return {
        "a": array(140, 150),
        "b": array(7),
        "c": {"w": array(130, 129), "s": array(), "e": array(0)},
        "d": array(129, 3, 4),
        "h": array(65, 20).astype(jnp.bfloat16),
    }


def steps(chain: Any) -> tuple[Any, str]:
    """Parameters and state after three steps, and the StableHLO of one."""
    EXECUTABLES.clear()  # the blocks are no part of the key
    params = tree(0)
    compiled = optcc.compile(chain, params, backend="native")
    state = compiled.init(params)
    for step in range(3):
        params, state = compiled.step(tree(step + 1), state, params)
    text = compiled.stablehlo()
    EXECUTABLES.clear()
    return (params, state), text


def blocks_of(compiled: Any) -> list[cache_tiles.LeafTile]:
    function = compiled.staged.program.step.op
    return cache_tiles.blocks_of(function, cache_tiles.bytes_of(function))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_tiles, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(cache_tiles, "SMALL_BYTES", 200)
    monkeypatch.setattr(cache_tiles, "LEAST_BYTES", 0)


def calls(text: str) -> list[str]:
    return re.findall(r"stablehlo\.custom_call @optcc_sweep.*", text)


@pytest.mark.parametrize("name", CHAINS)
def test_results_of_the_whole(name: str, request: pytest.FixtureRequest) -> None:
    """Blocks change the order of sweeps only; all calls but those of the first block wait for the block before.

    XLA may round the quotient by a leaf's size in another way where the block has one leaf.
    """
    whole, text = steps(CHAINS[name]())
    assert not any("after =" in call for call in calls(text))
    request.getfixturevalue("small_blocks")
    found, text = steps(CHAINS[name]())
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(*(np.asarray(v, np.float64) for v in (x, y)), rtol=2e-6, atol=1e-6)
    waiting = [call for call in calls(text) if "after = 1" in call]
    assert len(waiting) >= 8
    assert len(calls(text)) - len(waiting) <= 6


@pytest.mark.usefixtures("small_blocks")
def test_scalars_are_computed_once() -> None:
    """The corrections of the bias are the same for all cache_tiles."""
    _, text = steps(optcc.lamb(1e-2))
    assert text.count("stablehlo.power") == 2


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    "chain",
    [
        lambda: optcc.adamw(1e-2),  # one sweep
        lambda: optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-2)),  # a fold over all leaves
        lambda: optcc.flatten(optcc.lamb(1e-2)),  # one leaf of all
    ],
)
def test_what_runs_as_a_whole(chain: Callable[[], Any]) -> None:
    compiled = optcc.compile(chain(), tree(0), backend="native")
    assert blocks_of(compiled) == []


def test_small_trees_run_as_a_whole() -> None:
    compiled = optcc.compile(optcc.lamb(1e-2), tree(0), backend="native")
    assert blocks_of(compiled) == []


def test_blocks_of_a_large_tree() -> None:
    """Neighbours until the block is full, small leaves together and first, a leaf that is larger alone."""
    shapes = {f"w{i}": jax.ShapeDtypeStruct((512, 512), jnp.float32) for i in range(20)}
    shapes |= {f"b{i}": jax.ShapeDtypeStruct((512,), jnp.float32) for i in range(3)}
    shapes["x"] = jax.ShapeDtypeStruct((8192, 512), jnp.float32)
    compiled = optcc.compile(optcc.lamb(1e-2), shapes, backend="native")
    found = blocks_of(compiled)
    # Four arrays of 1 MB for each of the twenty.
    assert [len(block) for block in found] == [3, 4, 4, 4, 4, 4, 1]
    assert found[0] == {"b0", "b1", "b2"}
    assert found[-1] == {"x"}
    assert frozenset().union(*found) == set(shapes)
