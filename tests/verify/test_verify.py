"""`CompiledOptimizer.verify` and `optcc verify`: what agrees, and what does not, on purpose."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from xdsl.dialects import math as math_dialect

import optcc
from optcc.expressions import optax_optimizer
from optcc.lowering.native import calls
from optcc.lowering.native.llvm import Kernel
from optcc.lowering.stablehlo import STABLEHLO
from optcc.runtime import native
from optcc.verify import difference
from optcc.verify.compare import Tolerance
from optcc.verify.inputs import SPECIAL, tree_like
from tests.cli.calls import optcc_, stdout

STRICT, FOLDS, JUMPS = Tolerance(False, False), Tolerance(True, False), Tolerance(False, True)
PARAMS = {"w": jnp.ones((6, 50)), "b": jnp.ones(5)}
CHAIN = "chain(clip_by_global_norm(1.0), adamw(3e-4))"
SHAPES = '{"w": [6, 50], "b": [5]}'
needs_kernels = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())


@pytest.mark.parametrize("tx", [optcc.adamw(1e-3), optcc.lion(1e-3), optcc.lamb(1e-3)], ids=["adamw", "lion", "lamb"])
def test_everything_agrees(tx: Any) -> None:
    found = optcc.compile(tx, PARAMS).verify(steps=2)
    assert found, str(found)
    expected = {"before passes", "stablehlo", "packed state", "packed"} | ({"native"} if native.available() else set())
    assert {check.contender for check in found.checks} == expected
    assert {check.inputs for check in found.checks} == {"normal", "special", "ties"}
    leaves = {check.leaf for check in found.checks}
    assert {"params['b']", "params['w']"} < leaves
    assert len(found.checks) == len(leaves) * len(expected) * 3


def broken(monkeypatch: pytest.MonkeyPatch, good: str, bad: str) -> None:
    """From now on the last `good` in the text of a new kernel is `bad`. Its name follows from its text."""
    made = calls.generate

    def generate(*args: Any, **options: Any) -> Kernel:
        kernel = made(*args, **options)
        assert good in kernel.source
        return replace(kernel, source=bad.join(kernel.source.rsplit(good, 1)))

    monkeypatch.setattr(calls, "generate", generate)


@needs_kernels
@pytest.mark.parametrize(
    ("good", "bad", "size", "leaf"),
    [("fdiv", "fmul", 51, "params"), ("fadd", "fsub", 52, "params")],
    ids=["div", "add"],
)
def test_a_broken_kernel(good: str, bad: str, size: int, leaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One instruction of the emitted text is another: the leaf, the contender, and the op that makes it are named.

    The sizes are those of no other test, since executables are kept for a process.
    """
    broken(monkeypatch, good, bad)
    found = optcc.compile(optcc.adamw(0.3), {"w": jnp.ones((6, size))}).verify(steps=1)
    assert not found
    assert {check.contender for check in found.failures} == {"native", "packed state", "packed"}
    assert {check.leaf for check in found.failures} == {"params['w']"}
    text = str(found)
    assert re.search(r"^native disagrees on params\['w'\]\[\d+, \d+\] at step 1, normal inputs$", text, re.MULTILINE)
    assert "made by: sweep 0, arith.addf" in text


@needs_kernels
def test_a_broken_kernel_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, "fdiv", "fmul")
    result = optcc_("verify", "adam(0.3)", "--params", '{"w": [6, 53]}', "--steps", "1")
    assert result.exit_code == 1
    assert "native disagrees on params['w']" in result.stdout
    assert "leaves disagree" in result.stdout


def test_a_broken_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    """StableHLO has another rule for an op: kernels and the interpreter are right."""
    monkeypatch.setitem(STABLEHLO._scalar_rules, math_dialect.SqrtOp, lambda op, args: args[0])
    found = optcc.compile(optcc.adam(0.3), {"w": jnp.ones((6, 54))}).verify(steps=1)
    failing = {check.contender for check in found.failures}
    assert "stablehlo" in failing
    assert "before passes" not in failing
    assert not native.available() or "native" not in failing


def test_json_on_the_command_line() -> None:
    found = json.loads(stdout("verify", CHAIN, "--params", SHAPES, "--steps", "2", "--json"))
    assert found["agrees"] is True
    assert {"optax", "stablehlo", "packed"} < {check["contender"] for check in found["checks"]}
    assert {check["inputs"] for check in found["checks"] if check["contender"] == "optax"} == {"normal"}
    assert all(check["agrees"] and check["excess"] <= 1 for check in found["checks"])


def test_optax_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optax", None)
    text = stdout("verify", "sgd(0.1)", "--params", '{"w": [3]}', "--steps", "1")
    assert "not checked: optax: Optax is not installed" in text
    assert "all agree" in text


def test_another_value_of_a_hyperparameter() -> None:
    text = stdout("verify", "sgd(0.1)", "--params", '{"w": [3]}', "--steps", "1", "--hyper", "1.learning_rate=0.5")
    assert "not checked: optax: hyperparameters were changed by --hyper" in text


def test_a_module_has_no_definition() -> None:
    module = optcc.compile_module(optcc.compile(optcc.sgd(0.1), PARAMS).ir(), PARAMS)
    found = module.verify(steps=1)
    assert found
    assert found.skipped["packed"] == "the layout of a module is in its slots"


def test_an_optimizer_that_needs_more_is_refused() -> None:
    opt = optcc.compile(optcc.polyak_sgd(), PARAMS)
    with pytest.raises(TypeError, match=r"cannot verify: .*\n.*verify\n.*interpret_step"):
        opt.verify()


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "ulps", "agrees"),
    [
        (1.0, 1.0, STRICT, 0, True),
        (1 + 2**-23, 1.0, STRICT, 1, True),
        (1 + 2**-19, 1.0, STRICT, 16, False),
        (1 + 2**-19, 1.0, FOLDS, 16, True),
        (1.001, 1.0, FOLDS, 8389, False),
        (0.0, -0.0, STRICT, 0, True),
        (math.nan, math.nan, STRICT, 0, True),
        (math.nan, 1.0, FOLDS, math.inf, False),
        (math.inf, 1.0, FOLDS, math.inf, False),
        (math.inf, math.inf, STRICT, 0, True),
        (math.inf, -math.inf, JUMPS, math.inf, False),
        (2.0, 1.0, JUMPS, 2**22, False),
    ],
)
def test_difference(got: float, expected: float, tolerance: Tolerance, ulps: float, agrees: bool) -> None:
    found = difference(jnp.float32(got), jnp.float32(expected), tolerance)
    assert found.ulps == pytest.approx(ulps, rel=1e-3)
    assert (found.excess <= 1) is agrees


def test_few_jumps_are_allowed_behind_a_comparison() -> None:
    """One element of a million may have the other sign; not two, not one of a few, and not where nothing compares."""
    expected = jnp.ones(1_000_000)
    one = expected.at[7].set(-1.0)
    assert difference(one, expected, JUMPS).excess == 1
    assert difference(one, expected, STRICT).excess > 1
    assert difference(one.at[8].set(-1.0), expected, JUMPS).index == (7,)
    assert difference(one.at[8].set(-1.0), expected, JUMPS).excess > 1
    assert difference(one.at[7].set(jnp.nan), expected, JUMPS).excess == math.inf


def test_integers_and_dtypes() -> None:
    assert difference(jnp.int32(3), jnp.int32(4), FOLDS).excess == math.inf
    assert difference(jnp.int32(3), jnp.int32(3), STRICT).excess == 0
    assert difference(jnp.ones(2, jnp.bfloat16), jnp.ones(2), FOLDS).got == "bfloat16[2]"


def test_special_values_meet() -> None:
    """In a leaf that is large enough every special value is a gradient of many others as parameters."""
    shape = jax.ShapeDtypeStruct((len(SPECIAL) ** 2,), jnp.float32)
    pairs = zip(*(tree_like(shape, "special", 0, is_gradient=g).tolist() for g in (True, False)), strict=True)
    assert len({str(pair) for pair in pairs}) > len(SPECIAL) ** 2 / 2


def test_optax_of_an_expression() -> None:
    tx = optax_optimizer("optcc.chain(clip_by_global_norm(1.0), contrib.muon(1e-3))")
    assert type(tx).__module__.startswith("optax")
    with pytest.raises(optcc.errors.ExpressionError, match="unknown function 'adamww'"):
        optax_optimizer("adamww(1e-3)")
