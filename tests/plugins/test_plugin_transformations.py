"""Transformations of others: entry points and `module:function`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import jax
import pytest
from click.testing import CliRunner

import optcc
from optcc.cli.app import app
from optcc.expressions import parse_optimizer
from tests.plugins.given import GRADS, PARAMS, TRANSFORM, Install, message_of, same

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
    assert re.search(r"^sweeps: +1$", text, re.MULTILINE)


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
