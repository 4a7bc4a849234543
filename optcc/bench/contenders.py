"""What is timed: optcc on its backends and layouts, jitted and donated Optax, PyTorch in a process of its own."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from optcc.base import GradientTransformation, OptState, Params, PyTree, Updates
from optcc.compilation import compile as compile_optimizer
from optcc.errors import OptccError, message


class BenchError(OptccError):
    """Something that cannot be timed here."""


def needed(name: str, where: str) -> ModuleType:
    """A package that is none of optcc's dependencies. Raises BenchError where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise BenchError(message(f"{name} is not installed", where, f"pip install {name}")) from None


def arrays_like(shapes: PyTree, seed: int) -> Any:
    """Random arrays in the shapes of a tree; on accelerators made there, since the largest are gigabytes."""
    if jax.default_backend() != "cpu":
        keys = jax.random.split(jax.random.key(seed), len(jax.tree.leaves(shapes)))
        keys = jax.tree.unflatten(jax.tree.structure(shapes), list(keys))
        return jax.tree.map(lambda s, k: 0.1 * jax.random.normal(k, s.shape, s.dtype), shapes, keys)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(0.1 * rng.standard_normal(s.shape, np.float32), s.dtype), shapes)


class Jax:
    """A jitted step of parameters, state and gradients that donates the first two, and the seconds to compile it."""

    def __init__(self, make: Callable[[], tuple[Any, Any, Any, Any]]) -> None:
        self.run, self.params, self.state, self.grads = make()

    def time_steps(self, count: int) -> float:
        """Seconds of some steps, each until all its results are there."""
        start = time.perf_counter()
        for _ in range(count):
            self.params, self.state = jax.block_until_ready(self.run(self.params, self.state, self.grads))
        return time.perf_counter() - start


def ours(
    tx: GradientTransformation, shapes: PyTree, backend: str, layout: str, loop: int = 0
) -> tuple[Jax, float, Any, Any]:
    """optcc's step; the seconds from trace to executable, the executable, and the compiled optimizer.

    `layout` is `tree`, `state` (the state is packed), `all` (parameters and gradients, too) or `tiled` (all of them).
    With `loop`, that many steps are one call.
    """
    start = time.perf_counter()
    kept = layout if layout in ("tree", "tiled") else "packed"
    compiled = compile_optimizer(tx, shapes, backend=backend, layout=kept)
    packs_all = layout in ("all", "tiled")
    if packs_all:
        packed = jax.eval_shape(compiled.pack, shapes)
        state = jax.eval_shape(compiled.init, shapes)
        step = jax.jit(lambda p, s, g: compiled.step(g, s, p), donate_argnums=(0, 1))
        executable = step.lower(packed, state, packed).compile()
    else:
        executable = compiled.executable
    seconds = time.perf_counter() - start

    def make() -> tuple[Any, Any, Any, Any]:
        params, grads = arrays_like(shapes, 0), arrays_like(shapes, 1)
        state = compiled.init(params)
        if packs_all:
            params, grads = compiled.pack(params), compiled.pack(grads)
        return _looped(lambda p, s, g: compiled.step(g, s, p), loop), params, state, grads

    return Jax(make), seconds, executable, compiled


def theirs(tx: GradientTransformation, shapes: PyTree, loop: int = 0) -> tuple[Jax, float, Any]:
    """The step of a pair of Optax's, in the order of arguments in which each donated buffer meets its own result.

    Raises BenchError where Optax is not installed.
    """
    optax = needed("optax", "--against optax")

    def step(params: Params, state: OptState, grads: Updates) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(step, donate_argnums=(0, 1))
    start = time.perf_counter()
    executable = jitted.lower(shapes, jax.eval_shape(tx.init, shapes), shapes).compile()
    seconds = time.perf_counter() - start

    def make() -> tuple[Any, Any, Any, Any]:
        params, grads = arrays_like(shapes, 0), arrays_like(shapes, 1)
        return _looped(jitted, loop), params, tx.init(params), grads

    return Jax(make), seconds, executable


def temporaries_of(executable: Any) -> int:
    """Bytes of the temporaries of an executable."""
    return executable.memory_analysis().temp_size_in_bytes


def _looped(step: Any, loop: int) -> Any:
    """One step a call, or a jitted loop of several."""
    if not loop:
        return step

    def run(params: Params, state: OptState, grads: Updates) -> Any:
        return jax.lax.fori_loop(0, loop, lambda i, carry: step(*carry, grads), (params, state))

    return jax.jit(run, donate_argnums=(0, 1))


def returning(shapes: PyTree, arrays: int) -> Jax:
    """The price of buffers: a jitted call that returns its donated parameters and as many states, and has gradients."""

    def run(params: Params, state: OptState, grads: Updates) -> Any:
        del grads
        return params, state

    def make() -> tuple[Any, Any, Any, Any]:
        params, *states = (arrays_like(shapes, 0) for _ in range(1 + arrays))
        return jax.jit(run, donate_argnums=(0, 1), keep_unused=True), params, states, arrays_like(shapes, 1)

    return Jax(make)


class Torch:
    """PyTorch's step, timed in its own process."""

    def __init__(self, python: str, device: str = "cpu", form: str = "fused") -> None:
        worker = str(Path(__file__).with_name("torch_worker.py"))
        self.place = {"device": device, "form": form}
        self.process = subprocess.Popen([python, worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def setup(self, chain: str, shapes: PyTree) -> str:
        """Make parameters and gradients; PyTorch's version."""
        sizes = [list(x.shape) for x in jax.tree.leaves(shapes)]
        return self._ask({"setup": {"chain": chain, "sizes": sizes, **self.place}})["torch"]

    def time_steps(self, count: int) -> float:
        """Seconds of some steps."""
        return self._ask({"step": count})["seconds"]

    def release(self) -> None:
        """Free what the steps work on."""
        self._ask({"setup": {"chain": "sgd", "sizes": [[1]], **self.place}})

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.communicate()

    def _ask(self, command: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        answer = ""
        with suppress(OSError):
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            self.process.kill()
            with suppress(OSError):
                self.process.communicate()
            what = "PyTorch's process ended: it is not installed there, or its memory was not enough"
            raise BenchError(message(what, "--torch-python", "pip install torch, or name a Python that has it"))
        return json.loads(answer)
