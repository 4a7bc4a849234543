"""Every pass keeps what the interpreter computes, on random chains and modules; so does compiling."""

from __future__ import annotations

import operator
import random
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.traits import SymbolTable

import optcc
from optcc.dialect import KeyType, Role, TreeType, context, element_type, shapes_of
from optcc.dtypes import dtype_of
from optcc.formula.definition import definition_of
from optcc.interpret import interpreter
from optcc.interpret.pairs import compiled_program
from optcc.passes import PASSES, PIPELINES, Stage, run_passes
from optcc.passes.lift_hyperparameters import HOST_SUFFIX
from optcc.program.program import Program
from optcc.runtime.hyperparameters import Hyperparameters
from tests.fuzz.chains import fill, fill_state, transformations, trees
from tests.fuzz.modules import module_text

SHARDS = 4
MODULES = 16
"""Random modules for each of the two orders of passes."""
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


Inputs = tuple[Any, Any, Any]
"""Gradients, state and parameters."""


def program_and_inputs(tx: Any, params: Any, number: int) -> tuple[Program, Inputs]:
    program = compiled_program(definition_of(tx), params, params)
    state = program.init.shapes(Role.STATE, results=True)
    return program, (fill(params, number), fill_state(state, number + 1), fill(params, number + 2))


def interpret(program: Program, inputs: Inputs) -> list[Any]:
    """Run `@update` at any stage, with the hyperparameters lifted or not."""
    function = program.update
    grads, state, params = ([jnp.asarray(x) for x in jax.tree.leaves(tree)] for tree in inputs)
    # Hyperparameters that are not lifted have no arguments.
    arrays = [*grads, *params, *state, *Hyperparameters(lambda: program).arrays(function)]
    arguments = function.signature.arguments(arrays, operator.getitem)
    results = interpreter.evaluate(
        program.module, function.name, arguments, bindings=program.bindings, callables=program.callables
    )
    return function.signature.results(results)


def assert_same(got: list[Any], expected: list[Any], what: str, *, tolerance: float = 2e-6, least: float = 0.0) -> None:
    """Equal but for the order of a sum: a few ulps of the largest value; one ulp of bfloat16 where that is stored.

    Values are taken to be computed from others of a size of `least`.
    """
    for i, (x, y) in enumerate(zip(got, expected, strict=True)):
        assert (x.dtype, x.shape) == (y.dtype, y.shape), f"{what}, result {i}"
        limit = 2**-7 if x.dtype == jnp.bfloat16 else tolerance
        wide = np.complex128 if jnp.issubdtype(x.dtype, jnp.complexfloating) else np.float64
        a, b = np.asarray(x, wide), np.asarray(y, wide)
        scale = float(np.max(np.abs(b), initial=least, where=np.isfinite(b)))
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * scale, err_msg=f"{what}, result {i}")


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
                expected = [*optcc.apply_updates(jax.tree.leaves(arrays[2]), expected[:leaves]), *expected[leaves:]]
            assert_same(got, expected, f"after {stage.name}")

        run_passes(module, PIPELINES["step"], context(), verify_each=True, after_each=after)

    examples(shard, 50)(check)()


def arguments_of(module: ModuleOp, number: int) -> list[Any]:
    """Random arguments for the function `@update` of a module."""
    function = SymbolTable.lookup_symbol(module, "update")
    assert isinstance(function, FuncOp)

    def argument(type_: Any) -> Any:
        if isinstance(type_, KeyType):
            return jax.random.key_data(jax.random.key(number, impl=type_.implementation.data))
        dtype = dtype_of(element_type(type_))
        if isinstance(type_, TreeType):
            return fill([jax.ShapeDtypeStruct(shape, dtype) for shape in shapes_of(function, type_)], number)
        return fill(jax.ShapeDtypeStruct((), dtype), number)

    return [argument(type_) for type_ in function.function_type.inputs]


def results_of(module: ModuleOp, arguments: list[Any]) -> list[Any]:
    """What the function `@update` gives, with the hyperparameters lifted or not."""
    if SymbolTable.lookup_symbol(module, "update" + HOST_SUFFIX) is not None:
        arguments = [*arguments, *interpreter.evaluate(module, "update" + HOST_SUFFIX, [])]
    return interpreter.evaluate(module, "update", arguments)


def check_module(number: int, passes: Sequence[ModulePass]) -> None:
    """Interpret a random module before and after every pass, and parse what it prints."""
    module = Parser(context(), module_text(number)).parse_module()
    module.verify()
    arguments = arguments_of(module, number)
    expected = results_of(module, arguments)
    text = str(module)

    def after(stage: Stage) -> None:
        nonlocal expected, text
        if str(module) == text:
            return
        text = str(module)
        Parser(context(), text).parse_module().verify()
        if stage.name == "apply-updates":
            expected = [optcc.apply_updates(arguments[-1], expected[0]), *expected[1:]]
        got = results_of(module, arguments)
        what = f"module {number} after {stage.name}"
        assert_same(jax.tree.leaves(got), jax.tree.leaves(expected), what, tolerance=1e-5, least=1.0)

    run_passes(module, passes, context(), verify_each=True, after_each=after)


@shards
def test_every_pass_keeps_a_module(shard: int):
    for number in range(shard, MODULES, SHARDS):
        check_module(number, PIPELINES["step"])


@shards
def test_every_pass_keeps_a_module_in_any_order(shard: int):
    for number in range(MODULES + shard, 2 * MODULES, SHARDS):
        passes = [PASSES[name]() for name in PASSES if name != "form-sweeps"]
        random.Random(number).shuffle(passes)
        check_module(number, [*passes, PASSES["schedule-levels"](), PASSES["form-sweeps"]()])


def test_every_pass_is_in_a_pipeline():
    used = {p.name for pipeline in PIPELINES.values() for p in pipeline}
    why = "dce is part of canonicalize, a layout packs slots, a mesh splits leaves"
    assert used == set(PASSES) - {"dce", "pack-slots", "shard"}, why


@shards
def test_compiled_equals_interpreted(shard: int):
    def check(tx: Any, params: Any, number: int) -> None:
        program, arrays = program_and_inputs(tx, params, number)
        leaves = len(jax.tree.leaves(params))
        grads, state, weights = arrays
        expected = interpret(program, arrays)
        expected[:leaves] = optcc.apply_updates(jax.tree.leaves(weights), expected[:leaves])
        got = optcc.compile(tx, params).step(grads, *jax.tree.map(jnp.copy, (state, weights)))  # donated
        assert_same(jax.tree.leaves(got), expected, "step")

    examples(SHARDS + shard, 50)(check)()
