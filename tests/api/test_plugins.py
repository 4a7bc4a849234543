"""What others add: entry points of passes and transformations, registered passes, `pipeline=`, `module:function`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

import optcc
from optcc import plugins
from optcc.cli.app import app
from optcc.expressions import parse_optimizer
from optcc.passes import PASSES, PIPELINES, known_passes, parse_pipeline, register_pass, registry, usage

PARAMS = {"w": jnp.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": jnp.ones(3)}
GRADS = jax.tree.map(lambda x: 0.1 * x - 0.02, PARAMS)

PASS = """
from dataclasses import dataclass
from xdsl.passes import ModulePass

@dataclass(frozen=True)
class Nothing(ModulePass):
    \"\"\"Do nothing.\"\"\"
    name = "{name}"
    times: int = 1
    def apply(self, ctx, op):
        pass
"""
TRANSFORM = """
from optcc.builder import stateless

def half(factor: float = 0.5):
    \"\"\"Halve the updates.\"\"\"
    return stateless("half", lambda b, g, params, *, factor: factor * g, factor=factor)

def broken(x):
    return {}["key"]

def number():
    return 3

pair = half(0.25)
"""


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution on the path: its name, its entry points as text, and its modules."""

    def put(name: str, entry_points: str, **modules: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entry_points)
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)

    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    plugins._installed.cache_clear()
    yield put
    plugins._installed.cache_clear()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def message_of(error: type[Exception], work: Callable[[], object]) -> str:
    with pytest.raises(error) as raised:
        work()
    return str(raised.value)


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


def same(a: Any, b: Any) -> bool:
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: bool(np.array_equal(x, y)), a, b)))


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
        ((*PIPELINES["step"], "cse"), "'cse' is no pass\n  where: pipeline[15]\n  fix:   give a string, or objects of"),
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


# Transformations


def module_text(tx: optcc.GradientTransformation) -> str:
    return optcc.compile(tx, PARAMS).ir("optim")


def test_transformation_of_a_plugin(install: Install) -> None:
    install("half-dist", "[optcc.transforms]\nhalf = half_module:half\n", half_module=TRANSFORM)
    parsed = parse_optimizer("chain(half(factor=0.25), sgd(1.0))")
    from half_module import half  # type: ignore[import-not-found]

    assert module_text(parsed) == module_text(optcc.chain(half(0.25), optcc.sgd(1.0)))
    listed = CliRunner().invoke(app, ["list", "transforms"]).stdout
    assert "\nhalf(factor=0.5)  Halve the updates. From half-dist.\n" in listed
    text = message_of(optcc.ExpressionError, lambda: parse_optimizer("halve(1)"))
    assert "did you mean 'half'" in text
    text = message_of(optcc.ExpressionError, lambda: parse_optimizer("half(facto=1)"))
    assert text.startswith("half has no argument 'facto'\n  where: column 6\n")


def test_transformation_with_a_name_of_ours(install: Install) -> None:
    install("adam-dist", "[optcc.transforms]\nadam = x:adam\n")
    text = message_of(optcc.PluginError, lambda: parse_optimizer("sgd(1.0)"))
    assert text.startswith("the plug-in 'adam' of the distribution 'adam-dist' has a name that optcc has\n")


def test_plugin_that_is_no_function(install: Install) -> None:
    install("three-dist", "[optcc.transforms]\nthree = three_module:THREE\n", three_module="THREE = 3\n")
    text = message_of(optcc.PluginError, lambda: parse_optimizer("three(1)"))
    assert text.startswith("the plug-in 'three' of the distribution 'three-dist' is no function\n")


# module:function


@pytest.fixture
def mytx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install) -> Any:
    """A module of the user, in the current directory only."""
    folder = tmp_path / "here"
    (folder / "mypackage").mkdir(parents=True)
    (folder / "mytx.py").write_text(TRANSFORM)
    (folder / "mypackage" / "__init__.py").write_text("")
    (folder / "mypackage" / "inner.py").write_text("from mytx import *\n\nclass names:\n    nested = half\n")
    (folder / "failing.py").write_text("\n\n1 / 0\n")
    monkeypatch.chdir(folder)
    yield
    for name in ("mytx", "mypackage", "mypackage.inner", "failing"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "text",
    [
        "mytx:half(0.25)",
        "mytx:half(factor=1/4)",
        "chain(identity(), mytx:half(0.25))",
        "chain(identity(),mytx:half(0.25),identity())",
        "mytx:pair",
        "chain(mytx:pair)",
        "mypackage.inner:half(0.25)",
        "mypackage.inner:names.nested(0.25)",
    ],
)
def test_module_function(mytx: Any, text: str) -> None:
    parsed = parse_optimizer(text)
    updates = parsed.update(GRADS, parsed.init(PARAMS), PARAMS)[0]
    assert same(updates, jax.tree.map(lambda g: 0.25 * g, GRADS))
    assert str(Path.cwd()) not in sys.path


def test_module_function_of_another_library(mytx: Any) -> None:
    text = CliRunner().invoke(app, ["report", "optax:adamw(1e-3)", "--params", '{"w": [8]}']).stdout
    assert "opaque" in text


def test_module_function_on_the_command_line(mytx: Any) -> None:
    result = CliRunner().invoke(app, ["report", "chain(clip(1.0), mytx:half(0.5))", "--params", "mlp"])
    assert "sweeps:          1\n" in result.stdout


MODULE_ERRORS = {
    "nomodule:f(1)": """there is no module 'nomodule'
  where: column 1
         nomodule:f(1)
         ^^^^^^^^^^
  fix:   it is looked for in the current directory and in the environment""",
    "chain(mytx:hal(1))": """there is no attribute 'hal'
  where: column 7
         chain(mytx:hal(1))
               ^^^^^^^^
  fix:   did you mean 'half'?""",
    "failing:f()": """importing failing raised ZeroDivisionError: division by zero ({here}/failing.py:3)
  where: column 1
         failing:f()
         ^^^^^^^^^""",
    "mytx:half": """'mytx:half' is a function
  where: column 1
         mytx:half
         ^^^^^^^^^
  fix:   call it: mytx:half(factor=0.5)""",
    "mytx:pair(1)": """'mytx:pair' is a transformation, not a function
  where: column 1
         mytx:pair(1)
         ^^^^^^^^^^^^
  fix:   write mytx:pair""",
    "mytx:half(factr=1)": """mytx:half has no argument 'factr'
  where: column 11
         mytx:half(factr=1)
                   ^^^^^^^
  fix:   did you mean 'factor'?""",
    "mytx:half(1, 2)": """mytx:half: too many positional arguments
  where: column 1
         mytx:half(1, 2)
         ^^^^^^^^^^^^^^^
  fix:   mytx:half(factor=0.5)""",
    "mytx:half('x')": """mytx:half: factor is a number, got 'x'
  where: column 11""",
    "mytx:broken(1)": """mytx:broken raised KeyError: 'key' ({here}/mytx.py:9)
  where: column 1
         mytx:broken(1)
         ^^^^^^^^^^^^^^""",
    "mytx:number()": """mytx:number returned 3, neither a transformation nor a schedule
  where: column 1
         mytx:number()
         ^^^^^^^^^^^^^""",
    "mytx:__doc__": """mytx:__doc__ is None, neither a function nor a transformation
  where: column 1""",
    "os:system('x')": """'os' is a module of Python
  where: column 1
         os:system('x')
         ^^^^^^^^^
  fix:   name one with a transformation of yours""",
    "os.path:join('x')": "'os.path' is a module of Python\n",
    "mytx:half(mytx:half)": "'mytx:half' is a function\n  where: column 11\n",
    "mytx: half(1)": "not an expression: ",
    "mytx:": "not an expression: ",
    "é:half(1)": """there is no module 'é'
  where: column 1
         é:half(1)
         ^^^^^^\n""",
    "masked(identity(), {'a:b(c)': mytx:hal(1)})": """there is no attribute 'hal'
  where: column 31""",
}


@pytest.mark.parametrize("text", MODULE_ERRORS)
def test_module_function_errors(mytx: Any, text: str) -> None:
    got = message_of(optcc.ExpressionError, lambda: parse_optimizer(text))
    assert got.startswith(MODULE_ERRORS[text].format(here=Path.cwd()))
