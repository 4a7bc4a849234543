"""Every pass keeps what the interpreter computes, on random chains and trees; so does compiling."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from xdsl.traits import SymbolTable

import optcc
from optcc.dialect import context
from optcc.ir import interpreter
from optcc.ir.definition import definition_of
from optcc.ir.evaluate import init_program, run, update_program
from optcc.ir.program import Program, pack, unpack
from optcc.passes import PASSES, PIPELINES, Stage, run_passes
from optcc.passes.lift_hyperparameters import HOST_SUFFIX
from optcc.runtime.stages import hyper_values
from tests.strategies import fill, fill_state, transformations, trees

SHARDS = 4
shards = pytest.mark.parametrize("shard", range(SHARDS))


def examples(shard: int, count: int) -> Any:
    """Run a property on `count` random examples, the same in every run, others for every shard."""
    options = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),  # a failing chain is small as it is, and shrinking compiles for minutes
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    return lambda check: seed(shard)(options(given(transformations, trees(), st.integers(0, 1000))(check)))


def program_and_inputs(tx: Any, params: Any, number: int) -> tuple[Program, list[Any]]:
    definition = definition_of(tx)
    state = init_program(definition, params)[0].out_shapes
    program = update_program(definition, params, state, params)
    return program, jax.tree.leaves((fill(params, number), fill_state(state, number + 1), fill(params, number + 2)))


def interpret(program: Program, arrays: list[Any]) -> list[Any]:
    """Run a program at any stage, with the hyperparameters lifted or not."""
    arguments = pack(program.inputs, [jnp.asarray(a) for a in arrays])
    if SymbolTable.lookup_symbol(program.module, program.name + HOST_SUFFIX) is not None:
        values = hyper_values(program)
        arguments += [values.arrays[k][i] for k, i in values.layout]
    results = interpreter.evaluate(
        program.module, program.name, arguments, bindings=program.bindings, callables=program.callables
    )
    return unpack(program.outputs, results, sum(len(p.positions) for p in program.outputs))


def assert_same(got: list[Any], expected: list[Any], what: str) -> None:
    """Equal but for the order of a sum: a few ulps of the largest value; one ulp of bfloat16 where that is stored."""
    for i, (x, y) in enumerate(zip(got, expected, strict=True)):
        assert (x.dtype, x.shape) == (y.dtype, y.shape), f"{what}, result {i}"
        tolerance = 2**-7 if x.dtype == jnp.bfloat16 else 2e-6
        a, b = np.asarray(x, np.float64), np.asarray(y, np.float64)
        scale = float(np.max(np.abs(b), initial=0.0))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=f"{what}, result {i}")


@shards
def test_every_pass_keeps_the_result(shard: int):
    def check(tx: Any, params: Any, number: int) -> None:
        program, arrays = program_and_inputs(tx, params, number)
        expected = interpret(program, arrays)
        module = program.module.clone()
        text = str(module)

        def after(stage: Stage) -> None:
            nonlocal expected, text
            if str(module) == text:
                return
            text = str(module)
            got = interpret(program.with_module(module), arrays)
            if stage.name == "apply-updates":
                leaves = len(jax.tree.leaves(params))
                expected = [*optcc.apply_updates(arrays[-leaves:], expected[:leaves]), *expected[leaves:]]
            assert_same(got, expected, f"after {stage.name}")

        run_passes(module, PIPELINES["step"], context(), verify_each=True, after_each=after)

    examples(shard, 50)(check)()


def test_every_pass_is_in_a_pipeline():
    used = {p.name for pipeline in PIPELINES.values() for p in pipeline}
    assert used == set(PASSES) - {"dce"}, "dce is part of canonicalize"


@shards
def test_compiled_equals_interpreted(shard: int):
    def check(tx: Any, params: Any, number: int) -> None:
        program, arrays = program_and_inputs(tx, params, number)
        leaves = len(jax.tree.leaves(params))
        grads, state, weights, _ = jax.tree.unflatten(jax.tree.structure(program.in_shapes), arrays)
        expected = run(program, arrays)
        expected[:leaves] = optcc.apply_updates(arrays[-leaves:], expected[:leaves])
        got = optcc.compile(tx, params).step(grads, state, weights)
        assert_same(jax.tree.leaves(got), expected, "step")

    examples(SHARDS + shard, 50)(check)()
