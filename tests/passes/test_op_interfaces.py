"""Ops of others: what they say of themselves passes heed, and what is registered for them runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxlib.mlir.dialects import stablehlo as hlo
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.parser import Parser
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

import optcc
from optcc.dialect import context
from optcc.errors import MissingRuleError
from optcc.interpret import INTERPRETER, Run
from optcc.lowering.stablehlo import STABLEHLO, Lowering, as_leaves, by_interpreter
from optcc.passes import PIPELINES
from optcc.passes.schedule_levels import ScheduleLevels
from optcc.passes.split_leaves import SplitLeaves
from optcc.report import cost_of
from tests.passes.foreign_ops import CubeGradients, CubeOp, DoubleOp, NovelOp, OnGradients, SilentOp, ThriceOp, TreeOp

PARAMS = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3), "s": jnp.asarray(2.0)}
GRADS = jax.tree.map(lambda x: 0.5 * x - 0.25, PARAMS)


@INTERPRETER.register(DoubleOp)
def _double(run: Run, op: DoubleOp, args: Sequence[Any]) -> Sequence[Any]:
    return [[2 * leaf for leaf in args[0]]]


@INTERPRETER.register_scalar(CubeOp)
def _cube(op: CubeOp, args: Sequence[Any]) -> Any:
    return args[0] * args[0] * args[0]


STABLEHLO.register(DoubleOp)(by_interpreter)


@STABLEHLO.register(ThriceOp)
def _thrice(lowering: Lowering, op: ThriceOp, operands: Sequence[Any]) -> Sequence[Any]:
    return [[hlo.add(x, hlo.add(x, x)) for x in as_leaves(operands[0])]]


@STABLEHLO.register_scalar(CubeOp)
def _lower_cube(op: CubeOp, args: Sequence[Any]) -> Any:
    return hlo.multiply(args[0], hlo.multiply(args[0], args[0]))


MASK = {"w": True, "b": False, "s": True}
CHAINS: dict[str, Callable[[], Any]] = {
    "adamw": lambda: optcc.adamw(1e-2),
    "masked": lambda: optcc.chain(optcc.clip_by_global_norm(1.0), optcc.lamb(1e-2, mask=MASK)),
    "lamb": lambda: optcc.lamb(1e-2),
}


def module_with(op: type[TreeOp]) -> ModuleOp:
    """The module of a chain with a mask, with an op on the gradients."""
    compiled = optcc.compile(CHAINS["masked"](), PARAMS)
    module = parse(compiled.ir("optim"))
    assert "optim.split" in str(module)
    OnGradients(op).apply(context(), module)
    return module


def parse(text: str) -> ModuleOp:
    return Parser(context(), text).parse_module()


def assert_near(got: Any, expected: Any) -> None:
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", CHAINS)
def test_foreign_op_is_interpreted(name: str) -> None:
    """A step with an op that doubles the gradients is one on doubled gradients, also where leaves are split."""
    chain = CHAINS[name]()
    compiled = optcc.compile(chain, PARAMS, pipeline=(OnGradients(DoubleOp), *PIPELINES["step"]))
    state = chain.init(PARAMS)
    got = compiled.interpret_step(GRADS, state, PARAMS)
    twice = jax.tree.map(lambda g: 2 * g, GRADS)
    updates, expected_state = chain.update(twice, state, PARAMS)
    assert_near(got, (optcc.apply_updates(PARAMS, updates), expected_state))


def test_foreign_scalar_op_is_interpreted() -> None:
    chain = optcc.sgd(0.1, momentum=0.9)
    compiled = optcc.compile(chain, PARAMS, pipeline=(CubeGradients(), *PIPELINES["step"]))
    state = chain.init(PARAMS)
    got = compiled.interpret_step(GRADS, state, PARAMS)
    updates, expected_state = chain.update(jax.tree.map(lambda g: g * g * g, GRADS), state, PARAMS)
    assert_near(got, (optcc.apply_updates(PARAMS, updates), expected_state))


def test_op_without_split_is_named() -> None:
    with pytest.raises(VerifyException, match=r"'test.silent' is on trees, but .* the trait LeafSplit\n  fix: "):
        SplitLeaves().apply(context(), module_with(SilentOp))


def test_op_without_level_is_named() -> None:
    with pytest.raises(VerifyException, match=r"'test.silent' is on trees, but .* the trait Level\n  fix: "):
        ScheduleLevels().apply(context(), module_with(SilentOp))


def test_op_without_traffic_is_named() -> None:
    module = module_with(SilentOp)
    function = next(op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == "update")
    with pytest.raises(VerifyException, match=r"'test.silent' is on trees, but .* the trait Traffic\n  fix: "):
        cost_of(function)


def test_op_without_interpretation_is_named() -> None:
    compiled = optcc.compile(optcc.sgd(0.1), PARAMS, pipeline=(OnGradients(NovelOp), *PIPELINES["step"]))
    expected = r"the interpreter has no rule for 'test.novel'\n  fix:   .*@INTERPRETER.register\(NovelOp\)"
    with pytest.raises(MissingRuleError, match=expected):
        compiled.interpret_step(GRADS, optcc.sgd(0.1).init(PARAMS), PARAMS)


BACKENDS = ("native", "stablehlo")


@pytest.mark.parametrize("layout", ["tree", "packed"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("first", "change"),
    [
        (OnGradients(DoubleOp), lambda g: 2 * g),
        (OnGradients(ThriceOp), lambda g: 3 * g),
        (CubeGradients(), lambda g: g * g * g),
    ],
    ids=["by_interpreter", "tree", "scalar"],
)
def test_foreign_op_is_lowered(first: ModulePass, change: Callable[[Any], Any], backend: str, layout: str) -> None:
    """By the rules of one registry on each backend; for a scalar op, which has no kernel, natively by StableHLO."""
    chain = optcc.sgd(0.1, momentum=0.9)
    pipeline = (first, *PIPELINES["step"])
    compiled = optcc.compile(chain, PARAMS, pipeline=pipeline, backend=backend, layout=layout)
    updates, _ = chain.update(jax.tree.map(change, GRADS), chain.init(PARAMS), PARAMS)
    expected = optcc.apply_updates(PARAMS, updates)
    params, _ = compiled.step(GRADS, compiled.init(PARAMS), jax.tree.map(jnp.copy, PARAMS))
    assert_near(params, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_op_without_lowering_is_named(backend: str) -> None:
    """The error says where a rule serves every backend."""
    pipeline = (OnGradients(NovelOp), *PIPELINES["step"])
    compiled = optcc.compile(optcc.sgd(0.1), PARAMS, pipeline=pipeline, backend=backend)
    expected = r"StableHLO has no rule for 'test.novel'\n  fix:   .*@STABLEHLO.register\(NovelOp\), where STABLEHLO is "
    with pytest.raises(MissingRuleError, match=expected + "from optcc.lowering.stablehlo"):
        compiled.stablehlo()


def test_second_rule_is_refused() -> None:
    """Also one of the other kind: an op in bodies has one rule."""
    with pytest.raises(ValueError, match=r"the interpreter has a rule for 'test.double' already"):
        INTERPRETER.register(DoubleOp)(_double)
    with pytest.raises(ValueError, match=r"the interpreter has a rule for 'test.cube' already"):
        INTERPRETER.register(CubeOp)(_double)  # type: ignore[arg-type]
