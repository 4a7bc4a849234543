"""The two packages out of tree: installed by pip into an environment of their own, they pass their own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LIT = """
import os, shlex, sys
import lit.formats
config.name = "plugin"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_exec_root = os.path.join(os.environ["PLUGIN_OUT"], "out")
config.environment.update({"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.environ["PYTHONPATH"]})
python = shlex.quote(sys.executable)
config.substitutions += [
    (r"(?<![\\\\w./-])optcc(?![\\\\w./-])", f"{python} -m optcc"),
    (r"(?<![\\\\w./-])filecheck(?![\\\\w./-])", f"{python} -m filecheck"),
]
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with both packages installed by pip, and the variables that add it to this Python's packages."""
    site = tmp_path_factory.mktemp("site")
    sources = [str(EXAMPLES / name) for name in ("plugin_bf16_moments", "plugin_cautious")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--target", str(site), *sources], check=True, capture_output=True, text=True)
    paths = [str(site), str(ROOT), sysconfig.get_path("purelib")]
    return site, os.environ | {"PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"}


def run(command: list[str], environment: dict[str, str], folder: Path) -> None:
    result = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", ["plugin_bf16_moments", "plugin_cautious"])
def test_a_package_out_of_tree(name: str, environment: tuple[Path, dict[str, str]], tmp_path: Path):
    _, variables = environment
    tests = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(tmp_path), str(EXAMPLES / name / "tests")]
    run([sys.executable, "-m", "pytest", "-q", *tests], variables, tmp_path)
    suite = tmp_path / "lit"
    suite.mkdir()
    (suite / "lit.cfg.py").write_text(LIT)
    for file in (EXAMPLES / name / "lit_tests").glob("*.mlir"):
        (suite / file.name).write_text(file.read_text())
    run([sys.executable, "-m", "lit.main", "-v", str(suite)], variables | {"PLUGIN_OUT": str(tmp_path)}, tmp_path)


def test_the_pass_is_short():
    lines = (EXAMPLES / "plugin_bf16_moments" / "bf16_moments" / "__init__.py").read_text().splitlines()
    assert len(lines) <= 60
