"""The forms of StableHLO for XLA:GPU: values, run here on the CPU, and how few folds there are."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.lowering.xla_gpu import functions, reductions
from optcc.lowering.xla_gpu.functions import XlaGpu
from optcc.runtime import backends
from tests.runtime.packed import assert_near, copied
from tests.runtime.test_packing import CHAINS


@pytest.fixture
def _on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs for the CPU in the forms of the GPU, with a leaf of more than 20 elements taken for large."""
    monkeypatch.setattr(backends, "XlaCpu", XlaGpu)
    monkeypatch.setattr(reductions, "SMALL", 20)
    monkeypatch.setattr(functions, "SMALL", 20)
    monkeypatch.setattr(reductions, "_BATCH", 3)


@pytest.mark.usefixtures("_on_this_machine")
@pytest.mark.parametrize("name", ["masks", "zero_nans", "clip", "lamb", "lars", "novograd", "adafactor", "sm3"])
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
