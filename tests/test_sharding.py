"""Runs the tests of several devices, and of two processes, which need processes whose JAX has them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "eight_devices"


def test_on_eight_devices():
    """`--import-mode=importlib` and the warnings as errors are the settings of all tests; the folder is one process."""
    flags = "--xla_force_host_platform_device_count=8"
    files = [str(FOLDER / name) for name in ("shard_map_and_meshes.py", "sharded_steps.py", "states.py")]
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


def test_two_processes(tmp_path: Path):
    """Losses and shardings as with Optax, and a checkpoint restored on a mesh of another shape."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    script = FOLDER.parent / "two_processes" / "train.py"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent.parent), os.environ.get("PYTHONPATH", "")]),
    }
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(i), port, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for i in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=240)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(outputs)
    first, second = (json.loads((tmp_path / f"{i}.json").read_text()) for i in range(2))
    assert first == second
    for name, sharded in (("data_parallel", 0), ("fsdp", 6), ("zero", 4)):
        found = first[name]
        np.testing.assert_allclose(found["losses"], found["optax"], rtol=1e-5)
        assert found["kept"]
        assert found["sharded"] == sharded
        assert found["native"]
    resumed = first["resumed"]
    assert resumed["same"]
    assert resumed["mesh"] == {"data": 4, "model": 2}
    np.testing.assert_allclose(resumed["after"], resumed["before"], rtol=1e-6)
