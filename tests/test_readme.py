"""The README's first result runs, is short, and prints what the README shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="the README is in the checkout only")


def test_first_result(capsys: pytest.CaptureFixture[str]):
    text = README.read_text()
    code, shown = re.findall(r"```(?:python)?\n(.*?)```", text, flags=re.DOTALL)[:2]
    assert len([line for line in code.splitlines() if line.strip()]) < 15
    exec(compile(code, str(README), "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith(shown.rstrip()), printed


def test_number_of_names():
    """`test_api` checks that each of them is there."""
    api = json.loads((Path(__file__).parent / "data" / "api.json").read_text())
    assert f"All {len(api)} names" in README.read_text()
