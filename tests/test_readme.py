"""The README's first result runs, is short, and prints what the README shows."""

from __future__ import annotations

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


def test_names_in_the_table_exist():
    import optcc

    rows = re.findall(r"^\| (?:transformations|optimizers) \| (.*) \|$", README.read_text(), flags=re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(rows) == 2
    assert all(callable(getattr(optcc, name)) for name in names)
