"""Every optimizer of the public API on GPT-2's shapes: sweeps, bytes, size of the IR, and the command line."""

from __future__ import annotations

import re
from typing import Any

import jax
import pytest
from click.testing import CliRunner

import optcc
from optcc.cli.app import app
from optcc.expressions import parse_optimizer
from optcc.expressions.functions import callables, signature_of
from optcc.params import load_params
from optcc.runtime.native import unavailable_reason
from tests.sweeps_table import EXPRESSIONS, FILE, compiled, table

expressions = pytest.mark.parametrize("expression", EXPRESSIONS)
SWEEPS = {
    found[1]: int(found[2]) for found in re.finditer(r"^\| `(.+)` \| (\d+) \|", FILE.read_text(), flags=re.MULTILINE)
}


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return load_params("gpt2")


def test_table_in_the_docs():
    """docs/sweeps.md is what the code gives."""
    assert FILE.read_text() == table()


def test_table_has_every_optimizer():
    optimizers = {name for name in callables() if signature_of(name).startswith("(learning_rate")}
    optimizers -= {"scale_by_learning_rate"}
    assert optimizers <= {expression.removeprefix("contrib.").partition("(")[0] for expression in EXPRESSIONS}


@expressions
def test_command_line(expression: str):
    """`optcc compile X --params gpt2 --emit sweeps` works, and prints the sweeps of the table."""
    result = CliRunner().invoke(app, ["compile", expression, "--params", "gpt2", "--emit", "sweeps"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("optim.sweep writes") == SWEEPS[expression]


@expressions
def test_size_does_not_depend_on_leaves(expression: str, gpt2: Any):
    """One leaf of each shape, gpt2's 148, or 3,996: the same ops."""
    shapes = jax.tree.leaves(gpt2)
    few = list({leaf.shape: leaf for leaf in shapes}.values())

    def ops(params: Any) -> list[str]:
        module = compiled(expression, params).staged.module("sweeps")
        return [op.name for op in module.walk() if op.name != "optim.leaves"]

    assert ops(few) == ops(shapes) == ops(shapes * 27)


IN_PLACE = ["adafactor(1e-3)", "sm3(1e-3)", "lars(1e-3)"]


@pytest.mark.parametrize("expression", IN_PLACE)
@pytest.mark.parametrize("backend", ["native", "stablehlo"])
def test_in_place_on_gpt2(expression: str, backend: str, gpt2: Any):
    """Every buffer of state and parameters is reused. Own kernels take no temporary of the size of a parameter; XLA:CPU
    keeps one array of the size of all parameters for adafactor and sm3, which reduce along several axes."""
    if backend == "native" and (reason := unavailable_reason()):
        pytest.skip(f"native kernels: {reason}")
    step = optcc.compile(parse_optimizer(expression), gpt2, backend=backend)
    stats = step.executable.memory_analysis()
    assert stats.alias_size_in_bytes == step.donated_bytes
    small = backend == "native" or expression.startswith("lars")
    assert stats.temp_size_in_bytes < (0.01 if small else 1.01) * 4 * 124_439_808
