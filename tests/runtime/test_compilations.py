"""What is compiled, and how often: once for chains that differ in numbers, nothing for another step."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from optcc.runtime import native
from optcc.runtime.executables import EXECUTABLES
from optcc.runtime.primitive import BoundFunction
from tests.trees import assert_relative

PARAMS = {"w": jnp.arange(12.0).reshape(3, 4) / 7, "b": jnp.arange(3.0) - 1}
GRADS = jax.tree.map(lambda x: jnp.cos(x), PARAMS)
VALUES = [(1e-3 * (i + 1), 0.9 - 0.01 * i, 0.99 - 0.01 * i, 0.1 / (i + 1)) for i in range(10)]
"""Ten learning rates, first and second decay rates, and weight decays."""
BACKENDS = [
    "stablehlo",
    pytest.param("native", marks=pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())),
]
backends = pytest.mark.parametrize("backend", BACKENDS)


def copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


class Messages(logging.Handler):
    """The names of the functions that JAX says it compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text.startswith("Compiling "):
            self.names.append(text.split()[1].removeprefix("jit(").rstrip(")"))


@contextmanager
def compilations() -> Iterator[list[str]]:
    """What JAX compiles inside, by its own log."""
    handler, logger = Messages(), logging.getLogger("jax")
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        with jax.log_compiles():
            yield handler.names
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


@pytest.mark.parametrize("layout", ["tree", "packed"])
@backends
def test_ten_values_compile_once(backend: str, layout: str):
    """Ten chains, written with other numbers each: the step is compiled for the first, nothing for the others."""

    def run(values: Any) -> Any:
        lr, b1, b2, decay = values
        compiled = optcc.compile(optcc.adamw(lr, b1, b2, weight_decay=decay), PARAMS, backend=backend, layout=layout)
        return compiled.step(GRADS, compiled.init(PARAMS), copied(PARAMS))

    copied(PARAMS)
    EXECUTABLES.clear()
    with compilations() as first:
        results = [run(VALUES[0])]
    assert first.count("optcc_step") == 1
    assert first.count("optcc_init") == 0
    with compilations() as later:
        results += [run(values) for values in VALUES[1:]]
    assert not later
    for (lr, b1, b2, decay), (params, _) in zip(VALUES, results, strict=True):
        tx = optax.adamw(lr, b1, b2, weight_decay=decay)
        updates, _ = tx.update(GRADS, tx.init(PARAMS), PARAMS)
        assert_relative(params, optax.apply_updates(PARAMS, updates), rtol=1e-6)


@backends
def test_ten_values_compile_one_update(backend: str):
    """The same for `update` outside any jit."""
    EXECUTABLES.clear()
    with compilations() as names:
        for lr, b1, b2, decay in VALUES:
            compiled = optcc.compile(optcc.adamw(lr, b1, b2, weight_decay=decay), PARAMS, backend=backend)
            updates, _ = compiled.update(GRADS, compiled.init(PARAMS), PARAMS)
            tx = optax.adamw(lr, b1, b2, weight_decay=decay)
            with jax.log_compiles(False):
                assert_relative(updates, tx.update(GRADS, tx.init(PARAMS), PARAMS)[0], rtol=1e-6)
    ours = [name for name in names if "optcc" in name or "lambda" in name]
    assert sorted(ours) == ["optcc_update"]


def test_no_compilation_to_change_values():
    compiled = optcc.compile(optcc.adamw(0.1), PARAMS)
    state = compiled.init(PARAMS)
    params, state = compiled.step(GRADS, state, copied(PARAMS))
    with compilations() as names:
        for i in range(3):
            params, state = compiled.step(GRADS, state, params, hyperparams={"2.learning_rate": 0.1 / (i + 1)})
            other = compiled.with_hyperparams({"0.b1": 0.5 + 0.1 * i, "1.weight_decay": 0.0})
            params, state = other.step(GRADS, state, params)
    assert not names


SCRIPT = """
import sys, jax, jax.numpy as jnp, optcc
import jax.monitoring
counts = {"hits": 0, "misses": 0}
def count(event, **_):
    for what in counts:
        counts[what] += event == f"/jax/compilation_cache/cache_{what}"
jax.monitoring.register_event_listener(count)
params = {"w": jnp.ones((3, 4)), "b": jnp.zeros(3)}
for layout in ("tree", "packed"):
    opt = optcc.compile(optcc.adamw(float(sys.argv[2])), params, backend=sys.argv[1], layout=layout)
    new, state = opt.step(params, opt.init(params), jax.tree.map(jnp.copy, params))
    updates, _ = opt.update(params, state, new)
print(counts["hits"], counts["misses"], float(new["w"][0, 0]))
"""


@backends
def test_second_process_compiles_nothing(backend: str, tmp_path: Path):
    """With JAX's persistent cache, all that a process with another learning rate needs is there."""
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def run(rate: str) -> list[float]:
        command = [sys.executable, "-W", "error", "-c", SCRIPT, backend, rate]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [float(word) for word in done.stdout.split()]

    _, misses, first = run("0.5")
    hits, again, second = run("0.25")
    assert again == 0
    assert hits == misses > 0
    np.testing.assert_allclose([first, second], [0.5, 0.75], atol=1e-4)


def test_executables_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """The oldest go; an optimizer keeps its own."""
    EXECUTABLES.clear()
    monkeypatch.setattr(EXECUTABLES, "most", 4)
    optimizers: list[Any] = []
    for i in range(1, 6):
        optimizers.append(optcc.compile(optcc.sgd(0.1), {"w": jnp.ones(i)}))
        optimizers[-1]._made.steps[False, False, False, True]
        assert len(EXECUTABLES) <= 4
    first = optimizers[0]
    params, _ = first.step({"w": jnp.ones(1)}, first.init({"w": jnp.ones(1)}), {"w": jnp.ones(1)})
    np.testing.assert_allclose(params["w"], 0.9)
    assert len(EXECUTABLES) <= 4


# Python


@pytest.mark.parametrize("layout", ["tree", "packed"])
def test_python_calls_of_a_step_do_not_depend_on_leaves(layout: str):
    """After the first call a step makes as many Python calls for 1,000 leaves as for 10."""

    def calls(count: int) -> list[str]:
        params = {f"p{i}": jnp.ones((3,)) for i in range(count)}
        compiled = optcc.compile(optcc.adamw(0.1), params, layout=layout)
        state = compiled.init(params)
        grads, packed = (
            (compiled.pack(params), compiled.pack(params)) if layout == "packed" else (params, copied(params))
        )
        packed, state = compiled.step(grads, state, packed)
        found: list[str] = []

        def count_calls(frame: Any, event: str, _: Any) -> None:
            if event == "call":
                found.append(frame.f_code.co_name)

        gc.disable()  # JAX has a callback at each collection
        sys.setprofile(count_calls)
        try:
            packed, state = compiled.step(grads, state, packed)
        finally:
            sys.setprofile(None)
            gc.enable()
        return found

    few = calls(10)
    assert few == calls(1000)
    assert len(few) < 40


def leaves(count: int, dtype: Any = jnp.float32) -> Any:
    return {f"layer{i}": jax.ShapeDtypeStruct((2 + i % 3, 4), dtype) for i in range(count)}


def step_of(compiled: Any) -> Any:
    """The jitted step, with nothing packed."""
    return compiled._made.steps[False, False, False, True]


def test_ten_values_one_executable():
    """Chains that differ in their numbers only share one compiled step."""
    params = leaves(2)
    steps = {
        id(step_of(optcc.compile(optcc.adamw(1e-3 * (i + 1), b1=0.9 - 0.01 * i, weight_decay=0.1 / (i + 1)), params)))
        for i in range(10)
    }
    assert len(steps) == 1


def test_other_structure_other_executable():
    params = leaves(2)
    a, b = (step_of(optcc.compile(optcc.sgd(0.1, 0.9, nesterov=n), params)) for n in (False, True))
    assert a is not b


def test_no_second_compilation():
    params = jax.tree.map(lambda s: jnp.ones(s.shape, s.dtype), leaves(3))
    compiled = optcc.compile(optcc.adamw(1e-3), params)
    state = compiled.init(params)
    before = step_of(compiled)._cache_size()
    for _ in range(3):
        params, state = compiled.step(jax.tree.map(jnp.ones_like, params), state, params)
    assert step_of(compiled)._cache_size() == before + 1


def test_update_outside_jit_compiles_once():
    params = jax.tree.map(lambda s: jnp.ones(s.shape, s.dtype), leaves(3))
    compiled = optcc.compile(optcc.adamw(1e-3), params)
    state = compiled.init(params)
    for _ in range(3):
        _, state = compiled.update(params, state, params)
    executable, _ = compiled._made.update(True, None)
    assert isinstance(executable, BoundFunction)
    assert executable.jitted._cache_size() == 1


@pytest.mark.parametrize("name", ["adamw", "lamb"])
def test_hyperparameters_are_not_compiled_in(name: str):
    """The text of the compiled function has none of the numbers of the chain."""
    make = {"adamw": optcc.adamw, "lamb": optcc.lamb}[name]
    text = optcc.compile(make(0.123, b1=0.456, b2=0.789), leaves(2)).stablehlo()
    assert not any(number in text for number in ("1.230000e-01", "4.560000e-01", "7.890000e-01"))
