"""Native kernels inside user code: transformations, threads, processes, caches and files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.runtime import native
from tests.native.digests import parameters, trajectory
from tests.trees import assert_relative, ragged

pytestmark = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())

ROOT = Path(__file__).parents[2]
CHAIN = optcc.chain(optcc.clip_by_global_norm(0.7), optcc.adamw(0.1, weight_decay=0.05))


def python(code: str, *arguments: object, **variables: str) -> str:
    """What a new process prints."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def interpreted(grads: Any, state: Any, params: Any) -> Any:
    updates, state = CHAIN.update(grads, state, params)
    return optcc.apply_updates(params, updates), state


def compiled_update(params: Any) -> Any:
    opt = optcc.compile(CHAIN, params, backend="native")

    def step(grads: Any, state: Any, params: Any) -> Any:
        updates, state = opt.update(grads, state, params)
        return optcc.apply_updates(params, updates), state

    return step


# Dispatch


@pytest.mark.parametrize("layout", ["tree", "packed"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_programs_do_not_hold_up_who_dispatches_them(dtype: str, layout: Any) -> None:
    """XLA:CPU runs a computation of fewer than a thousand flops at once, and counts none for a custom call."""
    flops: list[float] = []
    for rows in (16, 4096):
        params = {"empty": jnp.ones((0,), dtype), "w": jax.ShapeDtypeStruct((rows, 1024), dtype)}
        opt = optcc.compile(optcc.sgd(0.1), params, backend="native", layout=layout)
        flops.append(opt.executable.cost_analysis()["flops"])
    small, large = flops
    assert small < 1000 <= large


def test_large_programs_of_complex_numbers_alone() -> None:
    params = {"w": jax.ShapeDtypeStruct((4096, 1024), "complex64")}
    opt = optcc.compile(optcc.identity(), params, backend="native")
    assert "optcc_sweep" in opt.hlo()
    assert opt.executable.cost_analysis()["flops"] >= 1000


# Transformations


def test_jit_with_donation() -> None:
    params = ragged(0)
    step = jax.jit(compiled_update(params), donate_argnums=(1, 2))
    assert "optcc_sweep" in step.lower(params, CHAIN.init(params), params).as_text()
    state, expected = CHAIN.init(params), (params, CHAIN.init(params))
    params = jax.tree.map(jnp.copy, params)
    for i in range(3):
        expected = jax.jit(interpreted)(ragged(i + 1), expected[1], expected[0])
        old = jax.tree.leaves((state, params))
        params, state = step(ragged(i + 1), state, params)
        assert all(x.is_deleted() for x in old if x.size)
    assert_relative((params, state), expected, rtol=1e-5)


@pytest.mark.parametrize("loop", ["scan", "fori_loop"])
def test_loop(loop: str) -> None:
    params, count = ragged(0), 4
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), *(ragged(i + 1) for i in range(count)))

    def run(step: Any) -> Any:
        def at(i: Any, carry: Any) -> Any:
            return step(jax.tree.map(lambda g: g[i], grads), carry[1], carry[0])

        if loop == "fori_loop":
            return jax.jit(lambda c: jax.lax.fori_loop(0, count, at, c))((params, CHAIN.init(params)))
        return jax.jit(lambda c: jax.lax.scan(lambda c, i: (at(i, c), ()), c, jnp.arange(count))[0])(
            (params, CHAIN.init(params))
        )

    assert_relative(run(compiled_update(params)), run(interpreted), rtol=1e-5)


@pytest.mark.parametrize("how", ["step", "update"])
def test_loops_copy_nothing_large(how: str) -> None:
    """State and parameters stay in their places from step to step: nothing as large as a leaf is copied in the loop.

    `update` writes the updates over the gradients, so these are computed in the loop, as they are in training.
    """
    params = {"w": jnp.ones((64, 256)), "v": jnp.ones((100, 50))}
    opt = optcc.compile(CHAIN, params, backend="native")
    update = compiled_update(params)

    def loop(params: Any, state: Any, grads: Any) -> Any:
        def step(_: Any, carry: Any) -> Any:
            params, state = carry
            if how == "step":
                return opt.step(grads, state, params)
            return update(jax.tree.map(lambda p, g: jnp.sin(p) + g, params, grads), state, params)

        return jax.lax.fori_loop(0, 10, step, (params, state))

    compiled = jax.jit(loop, donate_argnums=(0, 1)).lower(params, opt.init(params), params).compile()
    text = compiled.as_text()
    assert text is not None
    assert "optcc_sweep" in text
    assert not re.search(r"(64,256|100,50)\]\S* copy\(", text)
    size = 4 * (64 * 256 + 100 * 50)
    stats = compiled.memory_analysis()
    assert stats is not None
    assert stats.temp_size_in_bytes < (0.05 if how == "step" else 1.05) * size


def test_vmap_falls_back() -> None:
    params = ragged(0)
    step = compiled_update(params)
    grads = jax.tree.map(lambda *xs: jnp.stack(xs), ragged(1), ragged(2))
    got = jax.jit(jax.vmap(lambda g: step(g, CHAIN.init(params), params)))(grads)
    expected = jax.jit(jax.vmap(lambda g: interpreted(g, CHAIN.init(params), params)))(grads)
    assert_relative(got, expected, rtol=1e-5)


def test_grad_falls_back() -> None:
    tx = optcc.chain(optcc.clip_by_global_norm(0.7), optcc.ema(0.8), optcc.add_decayed_weights(0.1))
    params = ragged(0)
    opt = optcc.compile(tx, params, backend="native")

    def loss(update: Any) -> Any:
        return lambda g: sum(jnp.sum(jnp.sin(u)) for u in jax.tree.leaves(update(g, tx.init(params), params)[0]))

    got, expected = (jax.jit(jax.grad(loss(update)))(ragged(1)) for update in (opt.update, tx.update))
    assert_relative(got, expected, rtol=1e-5)


# Threads


def test_one_optimizer_in_several_threads() -> None:
    params = parameters([100, 200_000, 33], 0)
    opt = optcc.compile(CHAIN, params, backend="native")
    serial = [trajectory(opt, [100, 200_000, 33], seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: trajectory(opt, [100, 200_000, 33], seed), range(4)))
    assert together == serial


STRESS = """
from concurrent.futures import ThreadPoolExecutor
import optcc
from tests.native.digests import ROWS, parameters, trajectory

trees = [3, 50], [1000, 7, 140_000], [100] * 40, [200_000]
jobs = []
for i, row in enumerate(ROWS[:8]):
    sizes = trees[i % 4]
    jobs.append((optcc.compile(row.make(optcc), parameters(sizes, 0), backend="native"), sizes, i))
for job in jobs:
    trajectory(*job, steps=1)  # compiles

def run(job):
    return trajectory(*job, steps=200)

with ThreadPoolExecutor(8) as pool:
    together = list(pool.map(run, jobs))
assert together == list(map(run, jobs))
print("ok")
"""


def test_stress() -> None:
    """8 threads, 200 steps each, on different optimizers and trees; XLA's pool has two threads."""
    assert python(STRESS, PJRT_NPROC="2", NPROC="2") == "ok\n"


def test_bits_do_not_depend_on_threads_or_runs() -> None:
    """XLA's pool has as many threads as PJRT_NPROC or NPROC says, else as many as the machine has cores."""
    code = "from tests.native.digests import digest; print(digest())"
    digests = {python(code, PJRT_NPROC=n, NPROC=n) for n in ("1", "1", "2", "4")}
    assert len(digests) == 1


FORK = """
import os, warnings
import jax
import optcc
from tests.native.digests import trajectory

warnings.simplefilter("ignore")  # JAX advises against forks
sizes = [10, 300_000]
opt = optcc.compile(optcc.adamw(1e-2), [jax.ShapeDtypeStruct((n,), "float32") for n in sizes], backend="native")
opt.llvm()  # compiles the kernels
child = os.fork()
found = trajectory(opt, sizes, 0)
if child:  # both write to one pipe, so one after the other
    assert os.waitpid(child, 0)[1] == 0
print(found, flush=True)
if not child:
    os._exit(0)
"""


def test_fork_before_jax_runs() -> None:
    """Kernels and registry go along. (Once JAX has run, XLA waits in the child for threads that are not there.)"""
    first, second = python(FORK).split()
    assert first == second


# Caches and files

CACHED = """
import sys
import jax
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
import optcc
from jax import monitoring
from optcc.runtime import backends
from tests.native.digests import parameters, trajectory

hits = []
monitoring.register_event_listener(lambda name, **_: hits.append(name) if name.endswith("cache_hits") else None)
if sys.argv[2] == "source":
    backends.native.register_kernel = lambda name, address: None  # the kernels come with the executable alone
opt = optcc.compile(optcc.lamb(1e-2), parameters([10, 5000], 0), backend="native")
hits.clear()  # those of other jitted functions
opt.executable
cached = len(hits) > 0
print(trajectory(opt, [10, 5000], 0), cached)
"""


def test_persistent_cache(tmp_path: Path) -> None:
    first, second, third = (python(CACHED, tmp_path, how) for how in ("register", "register", "source"))
    assert first.endswith("False\n")
    assert second == third == first.replace("False", "True")


EXPORT = """
import sys
import jax, jax.numpy as jnp
import optcc
from jax import export

params = {"w": jnp.arange(12.0).reshape(3, 4), "b": jnp.ones(5)}
opt = optcc.compile(optcc.lamb(1e-1), params, backend="native")
structure = jax.tree.structure(opt.init(params))

def step(grads, leaves, params):
    updates, state = opt.update(grads, jax.tree.unflatten(structure, leaves), params)
    return optcc.apply_updates(params, updates), jax.tree.leaves(state)

args = params, jax.tree.leaves(opt.init(params)), params
exported = export.export(jax.jit(step), disabled_checks=[export.DisabledSafetyCheck.custom_call("optcc_sweep")])(*args)
open(sys.argv[1], "wb").write(exported.serialize())
print(*(x.tobytes().hex() for x in jax.tree.leaves(jax.jit(step)(*args))))
"""
IMPORT = """
import sys
import jax, jax.numpy as jnp
from jax import export
{imports}

exported = export.deserialize(open(sys.argv[1], "rb").read())
zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), exported.in_avals)
params = {{"w": jnp.arange(12.0).reshape(3, 4), "b": jnp.ones(5)}}
leaves = zeros[2 : -2]
try:
    out = exported.call(params, list(leaves), params)
    print(*(x.tobytes().hex() for x in jax.tree.leaves(out)))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_export(tmp_path: Path) -> None:
    """An exported step runs in a process that imports optcc, kernels from their source; in another it is an error."""
    file = tmp_path / "step"
    expected = python(EXPORT, file)
    assert python(IMPORT.format(imports="import optcc"), file) == expected
    assert "optcc_sweep" in python(IMPORT.format(imports=""), file)
    silent = "import optcc\nfrom optcc.runtime import native\nnative.set_compiler(None)"
    assert "could not be compiled: no compiler is set in this process" in python(IMPORT.format(imports=silent), file)


def test_import_registers_and_loads_no_compiler() -> None:
    code = """
import sys, optcc
from optcc.runtime.native import library
print(library._load.cache_info().currsize, *sorted({"llvmlite", "xdsl"} & set(sys.modules)))
"""
    assert python(code).strip() == "1"
