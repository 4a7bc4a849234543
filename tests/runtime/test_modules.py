"""Modules as programs: edited text runs, what cannot run says why, and the signature says what each array is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from click.testing import CliRunner

import optcc
from optcc.cli.app import app
from optcc.dialect import Role
from optcc.errors import OptccError, TreeMismatchError
from optcc.program.signature import Binding

PARAMS = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(4)}
TREE = '{"w": [3, 4], "b": [4]}'
CHAIN = optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-2))


def grads(step: int) -> Any:
    return jax.tree.map(lambda x: jnp.cos(x + step), PARAMS)


def train(opt: Any) -> Any:
    params, state = jax.tree.map(jnp.copy, PARAMS), opt.init(PARAMS)
    for step in range(3):
        params, state = opt.step(grads(step), state, params)
    return params, jax.tree.leaves(state)


@pytest.mark.parametrize("backend", ["native", "stablehlo"])
@pytest.mark.parametrize(("stage", "pipeline"), [("sweeps", ""), ("optim", "step"), ("fuse-maps", "form-sweeps")])
def test_a_stage_as_text_is_the_same_program(stage: str, pipeline: str, backend: str):
    opt = optcc.compile(CHAIN, PARAMS, backend=backend)
    text = opt.ir(stage)
    if stage == "fuse-maps":
        pipeline = "lift-hyperparameters,canonicalize,schedule-levels,form-sweeps"
    again = optcc.compile_module(text, PARAMS, backend=backend, pipeline=pipeline)
    assert again.hyperparams == opt.hyperparams
    for got, expected in zip(jax.tree.leaves(train(again)), jax.tree.leaves(train(opt)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_an_edited_sweep_runs_and_equals_the_interpreter():
    """The last product of the second sweep becomes a sum: other numbers, the same in both."""
    text = optcc.compile(CHAIN, PARAMS).ir("sweeps")
    start = text.rindex("arith.mulf")
    edited = text[:start] + text[start:].replace("arith.mulf", "arith.addf", 1)
    opt = optcc.compile_module(edited, PARAMS)
    state = opt.init(PARAMS)
    assert isinstance(state, tuple)
    expected = opt.interpret_step(grads(0), state, PARAMS)
    got = opt.step(grads(0), state, jax.tree.map(jnp.copy, PARAMS))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got, expected)
    plain = optcc.compile(CHAIN, PARAMS)
    first, _ = plain.step(grads(0), plain.init(PARAMS), jax.tree.map(jnp.copy, PARAMS))
    assert not np.allclose(first["w"], got[0]["w"])


def test_hyperparameters_of_a_module_are_inputs():
    opt = optcc.compile_module(optcc.compile(optcc.sgd(0.5), PARAMS).ir(), PARAMS)
    params, _ = opt.step(
        grads(0), opt.init(PARAMS), jax.tree.map(jnp.copy, PARAMS), hyperparams={"1.learning_rate": 0.0}
    )
    np.testing.assert_array_equal(params["w"], PARAMS["w"])


def test_what_cannot_run_says_why():
    opt = optcc.compile(CHAIN, PARAMS)
    with pytest.raises(ValueError, match=r"has no function @update\n  where: module\n  fix: "):
        optcc.compile_module("builtin.module {}", PARAMS)
    with pytest.raises(OptccError, match="there is no operation in it"):
        optcc.compile_module("", PARAMS)
    with pytest.raises(ValueError, match=r"returns updates, not parameters[\s\S]*pipeline=\"step\""):
        optcc.compile_module(opt.ir("optim"), PARAMS)
    with pytest.raises(ValueError, match=r"hyperparameter '0.max_norm' is not lifted[\s\S]*lift-hyperparameters"):
        optcc.compile_module(opt.ir("apply-updates"), PARAMS)
    without_places = re.sub(r" at \[[^]]*\]", "", opt.ir())
    with pytest.raises(ValueError, match=r"each argument and result has a place\n  where: argument 0 of @update"):
        optcc.compile_module(without_places, PARAMS)
    called = optcc.compile(optcc.stateless(lambda g, p: jax.tree.map(jnp.sort, g)), PARAMS)
    with pytest.raises(ValueError, match=r"is not known to a module given as text[\s\S]*'optim.call' in @update"):
        optcc.compile_module(called.ir(), PARAMS)


def test_a_module_for_other_parameters():
    text = optcc.compile(CHAIN, PARAMS).ir()
    with pytest.raises(TreeMismatchError, match=r"float32\[3, 5\] is given, but the module has float32\[3, 4\]"):
        optcc.compile_module(text, PARAMS | {"w": jnp.ones((3, 5))})
    with pytest.raises(TreeMismatchError, match="the module has 2 parameters, but 1 are given"):
        optcc.compile_module(text, {"w": PARAMS["w"]})
    opt = optcc.compile_module(text, PARAMS)
    with pytest.raises(TypeError, match="has no `update`"):
        opt.update(grads(0), opt.init(PARAMS), PARAMS)


def test_run_and_report_on_the_command_line(tmp_path: Path):
    file = tmp_path / "clip_adamw.mlir"
    file.write_text(optcc.compile(CHAIN, PARAMS).ir())
    result = CliRunner().invoke(app, ["run", str(file), "--params", TREE, "--steps", "2"])
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"(step \d: norm [\d.]+, largest difference from the interpreter [\de.-]+\n){2}", result.stdout)
    result = CliRunner().invoke(app, ["report", str(file), "--params", TREE])
    assert "bytes/parameter: 32.0, floor 28.0" in result.stdout
    result = CliRunner().invoke(app, ["run", "clip(1.0)", "--params", TREE, "--steps", "1"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["run", str(tmp_path / "none.mlir"), "--params", TREE])
    assert result.exit_code == 1
    assert "no such file" in result.output


def test_run_fails_where_the_compiled_step_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from optcc.runtime.optimizer import CompiledOptimizer

    right = CompiledOptimizer.interpret_step
    monkeypatch.setattr(CompiledOptimizer, "interpret_step", lambda *args: jax.tree.map(lambda x: x + 1, right(*args)))
    result = CliRunner().invoke(app, ["run", "sgd(0.1)", "--params", TREE, "--steps", "1"])
    assert result.exit_code == 1


def by_name(bindings: tuple[Binding, ...]) -> dict[str, Binding]:
    return {b.slot.name: b for b in bindings}


def test_the_signature_of_a_step():
    signature = optcc.compile(CHAIN, PARAMS).staged.program.step.signature
    found = by_name(signature.inputs)
    assert found["params"].places == (0, 1)
    assert found["1.0.count"].places == (0,)
    assert found["1.0.mu"].places == (1, 2)
    assert found["1.0.nu"].shapes == ((4,), (3, 4))
    assert [b.slot.role for b in signature.outputs] == [Role.PARAMS, Role.STATE, Role.STATE, Role.STATE]
    assert signature.in_counts == {Role.UPDATES: 2, Role.PARAMS: 2, Role.STATE: 5, Role.EXTRA: 0}


def test_leaves_of_several_dtypes_are_found_by_their_places():
    params = {"a": jnp.ones(2), "b": jnp.ones(3, jnp.bfloat16), "c": jnp.ones((2, 2))}
    step = optcc.compile(optcc.adam(1e-2), params).staged.program.step
    groups = [b for b in step.signature.inputs if b.slot.role is Role.PARAMS]
    assert {str(b.dtype): b.places for b in groups} == {"float32": (0, 2), "bfloat16": (1,)}
    values = step.signature.arguments(list("abcdefghijklmno"), lambda vector, i: (vector, i))
    flat = step.signature.results([v for b, v in zip(step.signature.inputs, values, strict=True) if b in groups] + [
        v for b, v in zip(step.signature.inputs, values, strict=True) if b.slot.role is Role.STATE
    ])  # fmt: skip
    assert flat == list("defghijklm")


FOREIGN: Any = optax.stateless_with_tree_map(lambda g, _: jnp.arctan(g))


@pytest.mark.parametrize("tx", [optcc.stateless(lambda g, p: g), optcc.chain(optcc.clip(1.0), FOREIGN)])
def test_a_report_with_opaque_calls_has_no_figure_below_the_floor(tx: Any):
    text = str(optcc.compile(tx, PARAMS).report())
    assert "bytes/parameter: not known, the traffic of an opaque call is not counted" in text
    assert "floor" not in text


def test_a_schedule_that_is_called_leaves_the_figure():
    opt = optcc.compile(optcc.sgd(lambda count: jnp.sort(jnp.stack([count, count * 2]))[0] * 1e-3), PARAMS)
    assert "optim.call" in opt.ir()
    assert "bytes/parameter: 12.0, floor 12.0" in str(opt.report())
