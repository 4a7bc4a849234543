"""`optcc bench`: every contender gets its turns, what is measured is written, and what is not installed is said."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from optcc.bench import BenchError, Result, Row
from optcc.bench.plot import plot
from optcc.bench.result import LIMIT
from optcc.cli.bench import torch_name
from optcc.runtime import native
from tests.cli.calls import error, optcc_, stdout

PARAMS = '{"w": [300, 40], "b": [40]}'
QUICK = ("--params", PARAMS, "--rounds", "3", "--seconds", "0")
OWN = ["native", "stablehlo"] if native.available() else ["stablehlo"]
LIMITS = [LIMIT] if shutil.which("cc") else []


def test_contenders_and_json(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    text = stdout("bench", "adamw(1e-3)", *QUICK, "--against", "optax", "-o", str(file))
    found = json.loads(file.read_text())
    assert [row["contender"] for row in found["rows"]] == [*OWN, "optax", *LIMITS]
    assert found["rounds"] == 3
    assert found["moved"] == 28 * 12_040
    assert found["rows"][0]["ratio"] is None
    assert all(row["low"] <= row["milliseconds"] <= row["high"] for row in found["rows"])
    assert all(row["compile_seconds"] > 0 for row in found["rows"] if row["contender"] != LIMIT)
    for row in found["rows"]:
        assert f"{row['milliseconds']:.3f}" in text


@pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())
def test_layouts() -> None:
    given = ("--backends", "native", "--layouts", "tree,state,all", "--json")
    found = json.loads(stdout("bench", "sgd(0.1, 0.9)", *QUICK, *given))
    names = [row["contender"] for row in found["rows"]]
    assert names == ["native", "native, packed state", "native, packed", *LIMITS]


def test_another_library_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optax", None)
    assert "stablehlo" in stdout("bench", "sgd(0.1)", *QUICK, "--backends", "stablehlo")
    text = error("bench", "sgd(0.1)", *QUICK, "--against", "optax")
    assert text.endswith("Optax is not installed\n  where: optax\n  fix:   pip install optax")


def test_a_plot_needs_matplotlib_before_anything_is_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = error("bench", "sgd(0.1)", *QUICK, "--plot", str(tmp_path / "x.png"))
    assert text == "matplotlib is not installed\n  where: --plot\n  fix:   pip install matplotlib"


def test_without_torch() -> None:
    text = error("bench", "adam(1e-3)", *QUICK, "--against", "torch", "--torch-python", "/bin/false")
    assert "PyTorch's process ended" in text
    assert "where: --torch-python" in text


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("adamw(3e-4)", "adamw"),
        ("optax.adam(learning_rate=1e-3, b1=0.9)", "adam"),
        ("sgd(1e-3)", "sgd"),
        ("sgd(1e-3, momentum=0.9)", "momentum"),
        ("chain(clip_by_global_norm(1.0), adamw(3e-4))", "clip_adamw"),
    ],
)
def test_torch_name(expression: str, name: str) -> None:
    assert torch_name(expression) == name


@pytest.mark.parametrize(
    "expression", ["lamb(1e-3)", "chain(adam(1e-3), clip(1.0))", "adam(cosine_decay_schedule(1, 2))"]
)
def test_no_torch_name(expression: str) -> None:
    with pytest.raises(BenchError, match="PyTorch has no fused form"):
        torch_name(expression)


def test_unknown_layout_and_library() -> None:
    assert optcc_("bench", "sgd(0.1)", *QUICK, "--against", "keras").exit_code == 2
    assert "unknown layout 'rows'" in error("bench", "sgd(0.1)", *QUICK, "--layouts", "rows")
    assert "unknown backend 'cuda'" in error("bench", "sgd(0.1)", *QUICK, "--backends", "cuda")


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = Row("native", 1.0, 0.9, 1.1, None, 0.5, 0), Row(LIMIT, 0.8, 0.7, 0.9, 0.8, None, None)
    result = Result("adam(1e-3)", "mlp", 2, 10, 280, 3, 1, "cpu", 2, rows, {}, {"optcc": "0"})
    plot(result, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert result.limit == 0.8
    assert "0.80" in str(result)
