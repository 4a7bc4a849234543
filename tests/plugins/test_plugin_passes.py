"""Passes of others: entry points, registered passes, `pipeline=`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from click.testing import CliRunner
from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import optcc
from optcc.cli.app import app
from optcc.expressions import parse_optimizer
from optcc.passes import PASSES, PIPELINES, known_passes, parse_pipeline, register_pass, registry, usage
from tests.plugins.given import GRADS, PARAMS, PASS, Install, message_of, same

# Passes


def test_pass_of_a_plugin(install: Install) -> None:
    install("some-dist", "[optcc.passes]\nnothing = some_passes:Nothing\n", some_passes=PASS.format(name="nothing"))
    assert "some_passes" not in sys.modules
    assert [one.name for one in parse_pipeline("cse,nothing{times=2}")] == ["cse", "nothing"]
    assert str(parse_pipeline("nothing{times=2},step")[0]) == "nothing{times=2}"
    assert usage(known_passes()["nothing"]()) == "nothing{times=1}"
    listed = CliRunner().invoke(app, ["list", "passes"]).stdout
    assert re.search(r"^nothing\{times=1\} +Do nothing\. From some-dist\.$", listed, re.MULTILINE)
    text = message_of(optcc.PipelineError, lambda: parse_pipeline("nothin"))
    assert text.endswith("did you mean 'nothing'?")


def test_plugin_is_not_imported_before_it_is_named(install: Install) -> None:
    install(
        "bad-dist",
        "[optcc.passes]\nbad = bad_module:Bad\n[optcc.transforms]\nworse = bad_module:worse\n",
        bad_module="raise RuntimeError('no')\n",
    )
    assert parse_pipeline("step") == PIPELINES["step"]
    assert parse_optimizer("adam(1e-3)")
    expected = "the plug-in {name!r} of the distribution 'bad-dist' cannot be loaded: RuntimeError: no"
    text = message_of(optcc.PluginError, lambda: parse_pipeline("bad"))
    assert text.startswith(expected.format(name="bad") + "\n  where: entry point bad = bad_module:Bad of optcc.passes")
    text = message_of(optcc.PluginError, lambda: parse_optimizer("worse(1)"))
    assert text.startswith(expected.format(name="worse"))
    assert f"Cannot be used: {expected.format(name='bad')}" in CliRunner().invoke(app, ["list", "passes"]).stdout
    assert f"Cannot be used: {expected.format(name='worse')}" in CliRunner().invoke(app, ["list", "transforms"]).stdout


@pytest.mark.parametrize("name", ["cse", "step"])
def test_plugin_with_a_name_of_ours(install: Install, name: str) -> None:
    install("cse-dist", f"[optcc.passes]\n{name} = x:Y\n")
    text = message_of(optcc.PluginError, lambda: parse_pipeline("dce"))
    assert text == (
        f"the plug-in {name!r} of the distribution 'cse-dist' has a name that optcc has\n"
        f"  where: entry point {name} = x:Y of optcc.passes\n  fix:   rename it, or uninstall cse-dist"
    )


def test_two_plugins_of_one_name(install: Install) -> None:
    install("one-dist", "[optcc.transforms]\ntwice = x:Y\n")
    install("two-dist", "[optcc.transforms]\ntwice = x:Y\n")
    text = message_of(optcc.PluginError, lambda: parse_optimizer("adam(1e-3)"))
    assert "has a name that '" in text
    assert "one-dist" in text
    assert "two-dist" in text


def test_plugin_that_is_no_pass(install: Install) -> None:
    entries = "[optcc.passes]\nother = other_passes:Nothing\nnumber = other_passes:NUMBER\n"
    install("other-dist", entries, other_passes=PASS.format(name="nothing") + "NUMBER = 3\n")
    text = message_of(optcc.PluginError, lambda: parse_pipeline("other"))
    assert "'other' of the distribution 'other-dist' is a pass named 'nothing'\n" in text
    assert text.endswith("fix:   give class and entry point one name")
    text = message_of(optcc.PluginError, lambda: parse_pipeline("number"))
    assert text.endswith("fix:   point it at a subclass of ModulePass")


@dataclass(frozen=True)
class TwiceConstants(ModulePass):
    """Double every float constant of the module: a pass that one sees in the result."""

    name = "twice-constants"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for inner in op.walk():
            if isinstance(inner, arith.AddfOp):
                inner.operands = [inner.operands[0], inner.operands[0]]


@pytest.fixture
def registered() -> Iterator[type[ModulePass]]:
    yield register_pass(TwiceConstants)
    del registry._registered[TwiceConstants.name]


def test_register_pass(registered: type[ModulePass]) -> None:
    assert parse_pipeline("twice-constants") == (TwiceConstants(),)
    assert register_pass(registered) is registered, "a notebook runs its cells twice"

    class Other(ModulePass):
        name = "twice-constants"

    text = message_of(optcc.PipelineError, lambda: register_pass(Other))
    assert text.startswith("there is a pass or a pipeline 'twice-constants'\n  where: register_pass\n")
    assert message_of(optcc.PipelineError, lambda: register_pass(int)).startswith(  # type: ignore[type-var]
        "<class 'int'> is no pass\n  where: register_pass\n"
    )
    Other.name = "step"
    assert message_of(optcc.PipelineError, lambda: register_pass(Other)).startswith("there is a pass or a pipeline 'st")


# pipeline=


def stepped(pipeline: Any) -> tuple[Any, str]:
    tx = optcc.sgd(0.5)
    opt = optcc.compile(tx, PARAMS, pipeline=pipeline)
    params = jax.tree.map(jnp.copy, PARAMS)
    return opt.step(GRADS, opt.init(params), params)[0], opt.ir()


def test_pipeline_of_a_compiled_step(registered: type[ModulePass]) -> None:
    expected, ir = stepped("step")
    assert stepped("cse,step")[1] == ir
    doubled = jax.tree.map(lambda p: p + p, PARAMS)
    for pipeline in ("step,twice-constants", (*PIPELINES["step"], registered())):
        assert same(stepped(pipeline)[0], doubled), "the pass replaced params + update by params + params"
    assert same(stepped("apply-updates,lift-hyperparameters")[0], expected), "a step without sweeps runs, too"


def test_pipeline_and_update_and_packing(registered: type[ModulePass]) -> None:
    opt = optcc.compile(optcc.sgd(0.5, momentum=0.9), PARAMS, pipeline="step,twice-constants", layout="packed")
    plain = optcc.compile(optcc.sgd(0.5, momentum=0.9), PARAMS)
    params = jax.tree.map(jnp.copy, PARAMS)
    assert same(opt.step(GRADS, opt.init(params), params)[0], jax.tree.map(lambda p: p + p, PARAMS))
    state = plain.init(PARAMS)
    doubled = jax.tree.map(lambda u: 2 * u, plain.update(GRADS, state, PARAMS)[0])
    assert same(opt.update(GRADS, state, PARAMS)[0], doubled), "gradient + 0 became gradient + gradient"


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        (
            "cse",
            "the pipeline has no 'apply-updates', without which there is no step\n  where: pipeline\n"
            "  fix:   put your passes around a named pipeline: my-pass,step",
        ),
        ("update", "the pipeline has no 'apply-updates', "),
        ((PASSES["apply-updates"](),), "the pipeline has no 'lift-hyperparameters', "),
        (
            (PASSES["fuse-maps"],),
            "<class 'optcc.passes.fuse_maps.FuseMaps'> is no pass\n  where: pipeline[0]\n  fix:   write FuseMaps()",
        ),
        (
            (*PIPELINES["step"], "cse"),
            f"'cse' is no pass\n  where: pipeline[{len(PIPELINES['step'])}]\n  fix:   give a string, or objects of",
        ),
        ("step,fuse-map", "unknown pass 'fuse-map'\n"),
    ],
)
def test_pipeline_errors(pipeline: Any, expected: str) -> None:
    text = message_of(optcc.PipelineError, lambda: optcc.compile(optcc.sgd(1.0), PARAMS, pipeline=pipeline))
    assert text.startswith(expected)


@pytest.mark.parametrize(
    ("pipeline", "inner"),
    [
        ("builtin.module(fuse-maps,cse)", "fuse-maps,cse"),
        (" builtin.module( func.func(cse) ) ", "cse"),
        ("builtin.module()", ""),
    ],
)
def test_nested_pipeline_says_what_to_write(pipeline: str, inner: str) -> None:
    text = message_of(optcc.PipelineError, lambda: parse_pipeline(pipeline))
    assert text == (
        f"a pipeline is not nested: every pass works on the whole module\n  where: pipeline {pipeline!r}\n"
        f"  fix:   write {inner!r}"
    )


def test_usage_shows_types_where_there_are_no_defaults() -> None:
    @dataclass(frozen=True)
    class Tile(ModulePass):
        name = "tile"
        size: int
        least_size: float | None = None
        on: bool = True

        def apply(self, ctx: Context, op: ModuleOp) -> None: ...

    assert usage(Tile) == "tile{size=<int> least-size=<float|None> on=true}"
    assert usage(PASSES["cse"]) == "cse"
