"""xDSL's tools know the dialect and the passes, by an entry point."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from xdsl.context import Context
from xdsl.parser import Parser
from xdsl.passes import PassPipeline
from xdsl.universe import XDSL_UNIVERSE, Universe
from xdsl.xdsl_opt_main import xDSLOptMain

import optcc
from optcc import universe
from optcc.params import load_params
from optcc.passes import PASSES

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
PIPELINE = "apply-updates,split-leaves,optim-canonicalize,cse,fuse-maps,fuse-reductions,rematerialize{factor=1.0}"


@pytest.mark.skipif(
    not PROJECT.is_file(), reason="the project file is in the checkout only, and this is another folder"
)
def test_entry_point() -> None:
    entries = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["xdsl.universe"]
    assert {name: EntryPoint(name, value, "xdsl.universe").load() for name, value in entries.items()} == {
        "optcc": universe.UNIVERSE
    }


def test_universe_has_the_dialect_and_every_pass() -> None:
    assert isinstance(universe.UNIVERSE, Universe)
    assert [make().name for make in universe.UNIVERSE.all_dialects.values()] == ["optim"]
    passes = {name: load() for name, load in universe.UNIVERSE.all_passes.items()}
    assert all(one.name == name for name, one in passes.items())
    assert {name.removeprefix("optim-") for name in passes} == set(PASSES) - {"cse", "dce"}
    assert "optim-canonicalize" in passes
    assert passes["optim-canonicalize"].__doc__ == PASSES["canonicalize"].__doc__


def test_no_name_is_one_of_xdsls() -> None:
    """xDSL's tools refuse to start if there is one."""
    assert not universe.UNIVERSE.all_passes.keys() & XDSL_UNIVERSE.all_passes.keys()
    assert not universe.UNIVERSE.all_dialects.keys() & XDSL_UNIVERSE.all_dialects.keys()


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Universe:
    """What `xdsl-opt` works with where optcc is installed."""
    found = Universe(
        all_dialects=XDSL_UNIVERSE.all_dialects | universe.UNIVERSE.all_dialects,
        all_passes=XDSL_UNIVERSE.all_passes | universe.UNIVERSE.all_passes,
        all_targets=XDSL_UNIVERSE.all_targets,
    )
    monkeypatch.setattr(Universe, "get_multiverse", staticmethod(lambda: found))
    return found


def test_xdsl_opt(both: Universe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compiled = optcc.compile(optcc.adam(1e-3), load_params("mlp"))
    file = tmp_path / "adam.mlir"
    file.write_text(compiled.ir("optim"))
    xDSLOptMain(args=[str(file), "-p", PIPELINE]).run()
    text = capsys.readouterr().out
    names = PIPELINE.replace("optim-", "")
    again = optcc.compile(optcc.adam(1e-3), load_params("mlp"), pipeline=f"{names},lift-hyperparameters")
    assert text.rstrip() == again.ir("rematerialize").rstrip()


def test_pipeline_of_the_universe(both: Universe) -> None:
    compiled = optcc.compile(optcc.adam(1e-3), load_params("mlp"))
    ctx = Context()
    for name, make in both.all_dialects.items():
        ctx.register_dialect(name, make)
    module = Parser(ctx, compiled.ir("optim")).parse_module()
    PassPipeline.parse_spec(both.all_passes, "fuse-maps,dce").apply(ctx, module)
    module.verify()
