"""Runs the lit tests, so that one command runs everything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "lit_tests"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the lit tests are in the checkout only, and this is another folder")
def test_lit():
    run = "from lit.main import main; main()"  # `python -m lit.main` ends at once and runs nothing
    result = subprocess.run(
        [sys.executable, "-c", run, "-s", "--no-progress-bar", "-j2", str(FOLDER)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Total Discovered Tests: {len(list(FOLDER.rglob('*.mlir')))}" in result.stdout
