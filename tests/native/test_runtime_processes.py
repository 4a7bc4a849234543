"""The native runtime under threads and forks, and kernels that a process lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from optcc.runtime import native
from tests.native.axpy import COMPILER, check_axpy, expected_axpy, inputs, needs_library, run_axpy
from tests.native.kernel_sources import AXPY, SUM
from tests.native.kernels import axpy, compile_kernel, device, name_of, registered

ROOT = Path(__file__).parents[2]


pytestmark = needs_library


@pytest.fixture
def no_compiler() -> Iterator[None]:
    """No compiler at the start of the test, nor after it."""
    native.set_compiler(None)
    yield
    native.set_compiler(None)


# Threads and processes


def python(code: str, **variables: str) -> str:
    """What a new process prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bits_do_not_depend_on_threads() -> None:
    """XLA's pool has as many threads as PJRT_NPROC or NPROC says, else as many as the machine has cores."""
    code = "from tests.native.kernels import digest; print(digest())"
    digests = {python(code, PJRT_NPROC=threads, NPROC=threads) for threads in ("1", "2", "4")}
    assert len(digests) == 1


def test_several_python_threads() -> None:
    registered(AXPY)
    step = jax.jit(axpy)
    w, p, g = inputs((10, 200_000, 33))
    rates = [i / 8 for i in range(1, 9)]

    def run(rate: float) -> list[tuple[Any, ...]]:
        return [jax.block_until_ready(step(jnp.float32(rate), jnp.array(w), device(p), device(g))) for _ in range(5)]

    with ThreadPoolExecutor(len(rates)) as pool:
        for rate, results in zip(rates, pool.map(run, rates), strict=True):
            for found in results:
                check_axpy(found, expected_axpy(rate, w, p, g))


FORK = """
import os, warnings
import jax, jax.numpy as jnp, numpy as np
from tests.native.kernels import SUM, device, per_leaf_sums, random_leaves, registered

warnings.simplefilter("ignore")  # JAX advises against forks

@jax.jit
def sums(leaves):
    return per_leaf_sums(leaves, jnp.float32)

registered(SUM)
{before}
child = os.fork()
if not child:
    {run}
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
{run}
print("ok")
"""


def test_fork_before_the_first_call() -> None:
    run = "jax.block_until_ready(sums(device(random_leaves((10, 300_000), 1))))"
    assert python(FORK.format(before="", run=run)) == "ok\n"


def test_fork_after_a_call() -> None:
    """The child's pool has no threads, and the caller does all of the work."""
    before = "leaves = device(random_leaves((10, 300_000), 1)); first = np.asarray(sums(leaves))"
    run = "np.testing.assert_array_equal(sums(leaves), first)"
    assert python(FORK.format(before=before, run=run)) == "ok\n"


def test_stress(tmp_path: Path) -> None:
    """The work sharing and whole sweeps under many callers; CMakeLists.txt says how to run them under sanitizers."""
    cmake = shutil.which("cmake")
    if not cmake or not COMPILER or not (ROOT / "CMakeLists.txt").exists():
        pytest.skip("needs cmake, a C++ compiler and the checkout")
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([cmake, "-S", ROOT, "-B", tmp_path, f"-DOPTCC_PYTHON={sys.executable}"], **quiet)
    for program in ("native_stress", "native_sweep_stress"):
        subprocess.run([cmake, "--build", tmp_path, "--parallel", "2", "--target", program], **quiet)
        subprocess.run([tmp_path / "tests" / "native" / program], timeout=120, **quiet)


# Kernels that are not registered


def fresh(source: str, mark: str) -> str:
    """The same kernel under a name of its own."""
    return f"; {mark}\n{source}"


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_is_compiled_once() -> None:
    compiled = []

    def compiler(name: str, source: str) -> int:
        compiled.append(name)
        return compile_kernel(name, source)

    source = fresh(AXPY, "compiled once")
    native.set_compiler(compiler)
    w, p, g = inputs((4, 3))
    for _ in range(2):
        check_axpy(run_axpy(kernel=name_of(source), source=source), expected_axpy(0.1, w, p, g))
    assert compiled == [name_of(source)]


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_in_several_threads() -> None:
    source = fresh(AXPY, "several threads")
    native.set_compiler(compile_kernel)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: run_axpy(kernel=name_of(source), source=source), range(4)):
            check_axpy(found, expected_axpy(0.1, *inputs((4, 3))))


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_without_compiler() -> None:
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"kernel 'absent' is not in .* no compiler is set"):
        run_axpy(kernel="absent")


@pytest.mark.usefixtures("no_compiler")
def test_missing_kernel_that_does_not_compile() -> None:
    def compiler(name: str, source: str) -> int:
        raise ValueError("expected top-level entity" + "!" * 2000)

    native.set_compiler(compiler)
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"'absent' .* ValueError: expected top-level entity!!"):
        run_axpy(kernel="absent")


def test_first_registration_stays() -> None:
    name = registered(AXPY)
    native.register_kernel(name, compile_kernel(name, SUM))
    check_axpy(run_axpy(), expected_axpy(0.1, *inputs((4, 3))))


def test_null_is_not_registered() -> None:
    with pytest.raises(ValueError, match="kernel 'nothing': the address is null"):
        native.register_kernel("nothing", 0)
