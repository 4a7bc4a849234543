"""The first tests to run: seconds, and one of each kind. They run on the installed wheel, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

import optcc

PARAMS = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}
GRADS = {"w": jnp.full((2, 3), 0.5), "b": jnp.array([1.0, -2.0, 3.0])}


def test_package_is_the_one_under_test():
    """The checkout by default; the folder the wheel was installed to where the test command says so."""
    expected = os.environ.get("OPTCC_INSTALLED") or str(Path(__file__).parent.parent)
    assert Path(optcc.__file__).resolve().is_relative_to(Path(expected).resolve())


def test_adamw_equals_optax():
    ours, theirs = optcc.adamw(1e-2), optax.adamw(1e-2)
    updates, _ = ours.update(GRADS, ours.init(PARAMS), PARAMS)
    expected, _ = theirs.update(GRADS, theirs.init(PARAMS), PARAMS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), updates, expected)


def test_compiled_step():
    tx = optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-2))
    compiled = optcc.compile(tx, PARAMS)
    updates, expected_state = tx.update(GRADS, tx.init(PARAMS), PARAMS)
    expected = optcc.apply_updates(PARAMS, updates)
    params, state = compiled.step(GRADS, compiled.init(PARAMS), jax.tree.map(jnp.copy, PARAMS))
    for a, b in zip(jax.tree.leaves((params, state)), jax.tree.leaves((expected, expected_state)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert str(compiled.staged.program.step.op).count("optim.sweep") == 2
    assert compiled.executable.memory_analysis().alias_size_in_bytes == compiled.donated_bytes


def test_command_line():
    result = subprocess.run(
        [sys.executable, "-m", "optcc", "compile", "lamb(1e-3)", "--params", '{"w": [2, 3]}', "--emit", "sweeps"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split("func.func @update(")[1].count("optim.sweep") == 2


def test_importing_does_not_import_the_compiler():
    code = "import sys, optcc; sys.exit('xdsl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
