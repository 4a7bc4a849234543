"""Runs the tests of several devices, which need a process whose JAX has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "eight_devices"


def test_on_eight_devices():
    """`--import-mode=importlib` and the warnings as errors are the settings of all tests; the folder is one process."""
    flags = "--xla_force_host_platform_device_count=8"
    files = [str(FOLDER / name) for name in ("shard_map_and_meshes.py", "states.py")]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER.parent.parent,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
