"""Counts of the IR that do not depend on the machine: sweeps, bytes, ops, kernels, and the table in the docs."""

from __future__ import annotations

import re
from typing import Any

import jax
import pytest
from click.testing import CliRunner

import optcc
from optcc.cli.app import app
from optcc.expressions.functions import callables, signature_of
from optcc.params import load_params
from optcc.report import cost_of
from tests.sweeps_table import FILE, compiled, table
from tests.table import LISTED, TABLE, WITH_EXTRA, Row

rows = pytest.mark.parametrize("row", [*TABLE, *WITH_EXTRA], ids=lambda row: row.name)
listed = pytest.mark.parametrize("row", LISTED, ids=lambda row: row.name)
SWEEPS = {
    found[1]: int(found[2]) for found in re.finditer(r"^\| `(.+)` \| (\d+) \|", FILE.read_text(), flags=re.MULTILINE)
}


@pytest.fixture(scope="module")
def gpt2() -> Any:
    return load_params("gpt2")


@rows
@pytest.mark.filterwarnings('ignore:"seed" is deprecated:DeprecationWarning')
def test_sweeps_and_bytes(row: Row, gpt2: Any):
    """What the row says that a step costs on GPT-2; and a row says why if that is above the floor."""
    step = optcc.compile(row.make(optcc), row.like(gpt2), extra_args=row.extra(0))
    cost = cost_of(step.staged.program.step.op)
    assert str(step.staged.program.step.op).count("optim.sweep") == len(cost.sweeps) == row.sweeps
    moved, floor = cost.per_parameter(cost.bytes), cost.per_parameter(cost.floor)
    assert moved == pytest.approx(row.bytes, rel=0, abs=0 if isinstance(row.bytes, int) else 0.005)
    assert bool(row.why) == (round(moved, 1) > round(floor, 1)), f"the floor is {floor}"
    assert any(sweep.fresh for sweep in cost.sweeps) == row.fresh, "whether a sweep writes an array of its own"
    assert bool(cost.barriers) == row.opaque
    assert cost.parameters == sum(x.size for x in jax.tree.leaves(gpt2)) == 124_439_808


def test_table_in_the_docs():
    """docs/sweeps.md is what the code gives."""
    assert FILE.read_text() == table()


def test_table_has_every_optimizer():
    optimizers = {name for name in callables() if signature_of(callables()[name]).startswith("(learning_rate")}
    optimizers -= {"optimistic_adam", "sophia", "lbfgs"}  # the first warns, the others need functions
    optimizers = {name for name in optimizers if not name.startswith("scale_by_")}
    assert optimizers == {row.function for row in LISTED if row.is_optimizer}


@pytest.mark.parametrize("row", [row for row in LISTED if row not in WITH_EXTRA], ids=lambda row: row.name)
def test_command_line(row: Row):
    """`optcc compile X --params gpt2 --emit sweeps` works, and prints the sweeps of the table."""
    result = CliRunner().invoke(app, ["compile", row.listed, "--params", "gpt2", "--emit", "sweeps"])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.split("func.func @update(")[1].count("optim.sweep") == SWEEPS[row.listed]


@listed
def test_size_does_not_depend_on_leaves(row: Row, gpt2: Any):
    """One leaf of each shape, gpt2's 148, or 3,996: the same ops."""
    shapes = jax.tree.leaves(gpt2)
    few = list({leaf.shape: leaf for leaf in shapes}.values())

    def ops(params: Any) -> list[str]:
        module = compiled(row, params).staged.module("sweeps")
        return [op.name for op in module.walk() if op.name != "optim.leaves"]

    assert ops(few) == ops(shapes) == ops(shapes * 27)


def test_one_kernel_for_each_array_stored(gpt2: Any):
    """XLA:CPU makes a loop for each array; sgd's are no more than that, but for a few step-level scalars."""
    assert optcc.compile(optcc.sgd(0.1), gpt2).hlo().count(" fusion(") <= 148 + 8
