"""Runs the tests of several devices, and of two processes, which need processes whose JAX has them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def start(job: str, folder: Path) -> list[subprocess.Popen[str]]:
    """Two processes that do a job of `two_processes/train.py` together."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    script = FOLDER.parent / "two_processes" / "train.py"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent.parent), os.environ.get("PYTHONPATH", "")]),
    }
    return [
        subprocess.Popen(
            [sys.executable, str(script), str(i), port, str(folder), job],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        for i in range(2)
    ]


def results(job: str, folder: Path) -> list[Any]:
    """What the two processes of a job found."""
    running = start(job, folder)
    try:
        outputs = [process.communicate(timeout=240)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], "\n".join(outputs)
    return [json.loads((folder / f"{i}.json").read_text()) for i in range(2)]


def test_two_processes(tmp_path: Path):
    """Losses and shardings as with Optax. A checkpoint is restored on a mesh of another shape; after one of the two
    processes was killed, two others go on from it as those did that were not, bit by bit."""
    first, second = results("train", tmp_path)
    digests = [found["resumed"].pop("digest") for found in (first, second)]
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

    doomed = start("doomed", tmp_path)
    try:
        assert doomed[1].wait(timeout=240) == -signal.SIGKILL
    finally:
        for process in doomed:
            process.kill()
            process.communicate()
    assert all((tmp_path / f"{i}.saved").exists() for i in range(2))
    again = results("resume", tmp_path)
    assert [found["digest"] for found in again] == digests
    assert all(found["after"] == resumed["after"] for found in again)
