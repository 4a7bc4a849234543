"""The forms of StableHLO for XLA:GPU: values, run here on the CPU, and how few folds there are."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.lowering.xla_gpu import functions, reductions
from optcc.lowering.xla_gpu.functions import XlaGpu
from optcc.program.storage import TILE
from optcc.runtime import backends
from tests.runtime.packed import assert_near, copied
from tests.runtime.test_packing import CHAINS, PARTS, trained

FURTHER = [pytest.param(name, marks=pytest.mark.exhaustive) for name in ("masks", "zero_nans", "lars", "novograd")]


@pytest.fixture
def _on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs for the CPU in the forms of the GPU, with a leaf of more than 20 elements taken for large."""
    monkeypatch.setattr(backends, "XlaCpu", XlaGpu)
    monkeypatch.setattr(reductions, "SMALL", 20)
    monkeypatch.setattr(functions, "SMALL", 20)
    monkeypatch.setattr(reductions, "_BATCH", 3)


@pytest.mark.usefixtures("_on_this_machine")
@pytest.mark.parametrize("name", ["clip", "lamb", "adafactor", "sm3", *FURTHER])
def test_values(name: str) -> None:
    chain = CHAINS[name]
    params = chain.leaves.fill(0, mixed=chain.mixed)
    compiled = optcc.compile(chain.make(), params, backend="stablehlo")
    state = compiled.init(params)
    for i in range(2):
        grads = chain.leaves.fill(i + 1, mixed=chain.mixed)
        expected = compiled.interpret_step(grads, state, params)
        params, state = compiled.step(grads, *copied((state, params)))
        assert_near((params, state), expected, 1e-5)


SHAPES: dict[str, tuple[int, ...]] = {
    "a": (40, 30), "b": (7,), "c": (3, 700), "d": (TILE,), "e": (40, 30), "f": (2, 5, 128), "g": (8, 128), "s": (),
    "h": (8, 128), "i": (700, 3),
}  # fmt: skip
"""Leaves that end in a tile and with one, some of them of one shape, not side by side."""


def _tree(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {k: jnp.asarray(rng.standard_normal(s), jnp.float32) for k, s in SHAPES.items()}


@pytest.mark.usefixtures("_on_this_machine")
@pytest.mark.parametrize("name", ["lamb", "adafactor", "sm3", *FURTHER])
def test_values_of_tiles(name: str) -> None:
    def make(seed: int) -> dict[str, Any]:
        return {k: v for k, v in _tree(seed).items() if name != "sm3" or v.shape}

    compiled = optcc.compile(CHAINS[name].make(), make(0), backend="stablehlo", layout="tiled")
    expected = trained(compiled, (False, False, False), make)
    assert_near(trained(compiled, PARTS["all"], make), expected, 1e-5)


def test_values_by_axis_beside_tiles() -> None:
    """adafactor on everything tiled looks values up, and takes no leaf out of a buffer."""
    compiled = optcc.compile(optcc.adafactor(0.1, 3), _tree(0), layout="tiled")
    arguments = (compiled.pack(_tree(0)), compiled.init(_tree(0)), compiled.pack(_tree(0)))
    text = jax.jit(compiled.step).trace(*arguments).lower(lowering_platforms=("cuda",)).as_text()
    assert text.count("stablehlo.gather") > 0
    assert not re.findall(r"-> tensor<(?:1200|1200xf32|40x30)xf32>", text)


def _lowered(tx: Any, shapes: list[tuple[int, ...]]) -> str:
    params = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    compiled = optcc.compile(tx, params)
    state = jax.eval_shape(compiled.init, params)
    return jax.jit(compiled.step).trace(params, state, params).lower(lowering_platforms=("cuda",)).as_text()


def _of_maps(text: str) -> str:
    return "".join(re.findall(r"func\.func private @optcc_map.*?^  }", text, flags=re.MULTILINE | re.DOTALL))


def test_small_leaves_are_folded_in_batches() -> None:
    """40 leaves of one shape: two batches, and one fold of what they leave; none in the map of a leaf."""
    text = _lowered(optcc.chain(optcc.clip_by_global_norm(1.0), optcc.sgd(0.1)), [(7, 3)] * 40)
    assert text.count("stablehlo.reduce") == 3
    assert "stablehlo.reduce" not in _of_maps(text)


def test_large_leaves_are_folded_by_row() -> None:
    text = _lowered(optcc.chain(optcc.clip_by_global_norm(1.0), optcc.sgd(0.1)), [(128, 512)] * 3)
    assert re.findall(r"across dimensions = (\[.*?\])", _of_maps(text)) == ["[1]"]
    assert text.count("stablehlo.reduce") == 2  # and what is left of three leaves is added one by one


def test_large_leaves_that_are_stored_and_folded_wait_for_each_other() -> None:
    """Two of three wait; XLA would make one kernel of them, and copy what it stores."""
    text = _lowered(optcc.lamb(0.1), [(128, 512)] * 3)
    assert text.count("stablehlo.shift_right_logical") == 2 * 2
    assert "stablehlo.shift_right_logical" not in _lowered(optcc.lamb(0.1), [(7, 3)] * 3)
