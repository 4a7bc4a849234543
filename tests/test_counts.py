"""The counts of .ci/counts.py, and that they count."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "counts.py"


@pytest.fixture(name="counts", scope="module")
def _counts() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_nothing_is_over_a_limit() -> None:
    ran = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_class_checks_are_found(counts: dict[str, Any]) -> None:
    text = "isinstance(x, MapOp | str)\nmatch x:\n    case SweepOp():\n        pass\nisinstance(x, int)\n"
    source = counts["Source"]("a.py", text, ast.parse(text))
    assert counts["class_checks"](source, {"MapOp", "SweepOp"}) == ["a.py:1 MapOp", "a.py:3 SweepOp"]


def test_docstrings_are_no_code(counts: dict[str, Any]) -> None:
    tree = ast.parse('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n')
    assert counts["code_lines"](tree.body[0]) == 2


def test_any_is_found_inside(counts: dict[str, Any]) -> None:
    text = "def f(a: Any, b: list[Any], c: int, d: str): ...\n"
    source = counts["Source"]("optcc/base.py", text, ast.parse(text))
    assert counts["share_of_any"]([source]) == 0.5
