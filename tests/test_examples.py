"""The examples learn what Optax learns."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="the examples are in the checkout only")


def load(name: str) -> Any:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("layout", ["tree", "packed"])
def test_digits_reach_the_same_losses(layout: str):
    losses = load("train_digits").run(40, layout)
    np.testing.assert_allclose(losses["optcc"], losses["Optax"], rtol=1e-4)
    assert losses["optcc"][-1] < 0.7 * losses["optcc"][0]


def test_ensemble_has_many_leaves():
    assert len(jax.tree.leaves(load("train_ensemble").init_params(200))) > 2_000


def test_one_line_changes_an_optax_script():
    before, after = load("train_optax").run(32, 6)
    np.testing.assert_allclose(after, before, rtol=1e-3)


def test_muon_learns_and_says_whose_each_matrix_is(capsys: pytest.CaptureFixture[str]):
    losses = load("train_muon").run(25)
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "inner_states.adam.inner_state.0.mu: 4 leaves, 33,024 elements",
        "inner_states.muon.inner_state.0.mu: 8 leaves, 98,304 elements",
    ]


def test_gpt_learns_prose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))  # as for a script, which finds its neighbours
    losses, held_out = load("train_gpt").run(40)
    assert held_out < 0.7 * losses[0]
    assert "leaf sets that are treated alike:\n" in capsys.readouterr().out


def test_going_on_from_an_optax_checkpoint(tmp_path: Path) -> None:
    expected, losses = load("resume_from_optax").run(tmp_path)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    assert losses[-1] < losses[0]
