"""xDSL's tools know the dialect and the passes, by an entry point."""

from __future__ import annotations

import os
import subprocess
import sys
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

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
in_checkout = pytest.mark.skipif(
    not (PROJECT.parent / "optcc").is_dir(),
    reason="the project file is in the checkout only, and this is another folder",
)
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


@in_checkout
def test_xdsl_opt_as_a_process(tmp_path: Path) -> None:
    """With the entry points of the project file, as an installation leaves them."""
    entries = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]
    folder = tmp_path / "site" / "optcc-0.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: optcc\nVersion: 0.0\n")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in pairs.items()) for group, pairs in entries.items()]
    (folder / "entry_points.txt").write_text("".join(lines))
    compiled = optcc.compile(optcc.adam(1e-3), load_params("mlp"))
    file = tmp_path / "adam.mlir"
    file.write_text(compiled.ir("optim"))
    result = subprocess.run(
        [sys.executable, "-c", "from xdsl.tools.xdsl_opt import main; main()", str(file), "-p", "fuse-maps"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder.parent), str(PROJECT.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert 0 < result.stdout.count("optim.map") < compiled.ir("optim").count("optim.map")


def test_pipeline_of_the_universe(both: Universe) -> None:
    compiled = optcc.compile(optcc.adam(1e-3), load_params("mlp"))
    ctx = Context()
    for name, make in both.all_dialects.items():
        ctx.register_dialect(name, make)
    module = Parser(ctx, compiled.ir("optim")).parse_module()
    PassPipeline.parse_spec(both.all_passes, "fuse-maps,dce").apply(ctx, module)
    module.verify()
