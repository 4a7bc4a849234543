"""Optimizer expressions: what is allowed, and the text of every refusal."""

from __future__ import annotations

import inspect
import time

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.expressions import parse_optimizer
from optcc.expressions.functions import callables
from optcc.formula.definition import definition_of

PARAMS = {"w": jax.ShapeDtypeStruct((3,), jnp.float32), "b": jax.ShapeDtypeStruct((2,), jnp.float32)}

SAME = {
    "adam(1e-3)": lambda: optcc.adam(1e-3),
    "optcc.adam(1e-3)": lambda: optcc.adam(1e-3),
    "optax.adam(learning_rate=0.001)": lambda: optcc.adam(1e-3),
    "  sgd(1/4, momentum = 2**-2,\n  nesterov=True)": lambda: optcc.sgd(0.25, momentum=0.25, nesterov=True),
    "sgd(-(3 - 1) * 2 % 3 // 1 + 0x10)": lambda: optcc.sgd(18),
    "adam(1e-3, mu_dtype=bfloat16)": lambda: optcc.adam(1e-3, mu_dtype=jnp.bfloat16),
    "adam(1e-3, mu_dtype=jnp.bfloat16)": lambda: optcc.adam(1e-3, mu_dtype=jnp.bfloat16),
    "adam(1e-3, mu_dtype=jax.numpy.float16)": lambda: optcc.adam(1e-3, mu_dtype=jnp.float16),
    "adam(1e-3, mu_dtype='bfloat16')": lambda: optcc.adam(1e-3, mu_dtype=jnp.bfloat16),
    "chain(clip_by_global_norm(1.0), adamw(3e-4))": lambda: optcc.chain(
        optcc.clip_by_global_norm(1.0), optcc.adamw(3e-4)
    ),
    "adamw(1e-3, mask={'w': True, 'b': False})": lambda: optcc.adamw(1e-3, mask={"w": True, "b": False}),
    "scale_by_learning_rate(None)": lambda: optcc.scale_by_learning_rate(None),
    "scale_by_lion(mode='hard')": lambda: optcc.scale_by_lion(mode="hard"),
    "sgd(optax.schedules.join_schedules([constant_schedule(1.0), linear_schedule(1, 0, 9)], (5,)))": lambda: optcc.sgd(
        optcc.join_schedules([optcc.constant_schedule(1.0), optcc.linear_schedule(1, 0, 9)], (5,))
    ),
}


@pytest.mark.parametrize("text", SAME)
def test_expression_means_what_python_would(text: str) -> None:
    def module(tx: optcc.GradientTransformation) -> str:
        return optcc.compile(tx, PARAMS).ir("optim")

    assert module(parse_optimizer(text)) == module(SAME[text]())


REFUSED = {
    "adamm(1e-3)": """unknown function 'adamm'; an expression calls only what `optcc list` shows
  where: column 1
         adamm(1e-3)
         ^^^^^
  fix:   did you mean 'adam""",
    "chain(\n  optax.contrib.adam(1))": """\
unknown function 'optax.contrib.adam'; an expression calls only what `optcc list` shows
  where: line 2, column 3
           optax.contrib.adam(1))
           ^^^^^^^^^^^^^^^^^^
  fix:   write adam, without 'optax.contrib.'""",
    "adam(1e-3, learning_rat=1)": """adam has no argument 'learning_rat'
  where: column 12
         adam(1e-3, learning_rat=1)
                    ^^^^^^^^^^^^^^
  fix:   did you mean 'learning_rate'?""",
    "adam(eps=1)": """adam: missing a required argument: 'learning_rate'
  where: column 1
         adam(eps=1)
         ^^^^^^^^^^^
  fix:   adam(learning_rate, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, mu_dtype=None, *, nesterov=False)""",
    "chain(clip(1.0), trace(0.9, False, None, 3))": """trace: too many positional arguments
  where: column 18
         chain(clip(1.0), trace(0.9, False, None, 3))
                          ^^^^^^^^^^^^^^^^^^^^^^^^^^
  fix:   trace(decay, nesterov=False, accumulator_dtype=None)""",
    "chain(adam(1e-3), sgd)": """'sgd' is a function
  where: column 19
         chain(adam(1e-3), sgd)
                           ^^^
  fix:   call it: sgd(learning_rate, momentum=None, nesterov=False, accumulator_dtype=None)""",
    "adam(1e-3, mu_dtype=bfloat17)": """unknown name 'bfloat17'
  where: column 21
         adam(1e-3, mu_dtype=bfloat17)
                             ^^^^^^^^
  fix:   did you mean 'bfloat16' or 'float16' or 'float64'?""",
    "é + adam(1)": """unknown name 'é'
  where: column 1
         é + adam(1)
         ^
  fix:   the names of values are float32, bfloat16, float16, float64""",
    "join_schedules([constant_schedule(1.0)], [3])": """join_schedules: 1 schedules need 0 boundaries, got 1: [3]
  where: column 1
         join_schedules([constant_schedule(1.0)], [3])
         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  fix:   pass the first step of every schedule but the first""",
    "constant_schedule(1.0)": """the expression is a schedule, not an optimizer
  where: column 1
         constant_schedule(1.0)
         ^^^^^^^^^^^^^^^^^^^^^^
  fix:   write for instance adam(1e-3)""",
    "": """the expression is empty
  fix:   write for instance adam(1e-3)""",
    "adam(1e-3": """not an expression: '(' was never closed
  where: column 5
         adam(1e-3
             ^""",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refusal_says_what_where_and_the_fix(text: str) -> None:
    with pytest.raises(optcc.ExpressionError) as refusal:
        parse_optimizer(text)
    assert str(refusal.value).startswith(REFUSED[text])


FIRST_LINES = {
    "adam('x')": "adam: learning_rate is a number or a schedule, got 'x'",
    "adam(True)": "adam: learning_rate is a number or a schedule, got True",
    "adam(1e-3, nesterov=1)": "adam: nesterov is True or False, got 1",
    "adam(1e-3, b1=constant_schedule(1.0))": "adam: b1 is a number, got a schedule",
    "adam(1e-3, mu_dtype=3)": "adam: mu_dtype is a floating dtype, got 3",
    "chain(constant_schedule(1.0))": "chain: an argument is a transformation, got a schedule",
    "chain([adam(1e-3)])": "chain: an argument is a transformation, got [a transformation]",
    "scale_by_schedule(1.0)": "scale_by_schedule: step_size_fn is a schedule, got 1.0",
    "masked('x', {'w': True})": "masked: inner is a transformation, got 'x'",
    "join_schedules([1.0], [])": "join_schedules: schedules is a list, each item a schedule, got [1.0]",
    "piecewise_constant_schedule(1.0, {'a': 2})": (
        "piecewise_constant_schedule: boundaries_and_scales is a dict from an integer to a number or None, got {'a': 2}"
    ),
    "scale_by_lion(mode='sof')": "scale_by_lion: mode must be one of ('hard', 'smooth', 'refined'), got 'sof'",
    "adam(1e-3, b1=0.9, b1=0.8)": "argument 'b1' is given twice",
    "adam(1e-3) + 1": "arithmetic is for numbers only, got a transformation",
    "'a' * 999999999": "arithmetic is for numbers only, got 'a'",
    "adam(9**9**9)": "the exponent is beyond 1024",
    "adam(9**999)": "an integer has at most 63 bits",
    "adam(10.0**999)": "(34, 'Numerical result out of range')",
    "adam(1/0)": "division by zero",
    "adam((-1)**0.5)": "the result is a complex number",
    "adam(1e999)": "the number is too large for a float",
    "adam(1 << 3)": "this operator is not allowed in an expression",
    "adam(not 1)": "this operator is not allowed in an expression",
    "adam(1j)": "1j is not allowed in an expression",
    "adam(b'x')": "b'x' is not allowed in an expression",
    "adam(1e-3, ...)": "Ellipsis is not allowed in an expression",
    "adam(1if 1 else 2)": "`if` is not allowed in an expression",
    "adam({1, 2})": "a set is not allowed in an expression",
    "adam({**{}})": "`**` is not allowed in an expression",
    "adam({(1,): 2})": "a key of a dict is a string or an integer",
    "adam(**{'a': 1})": "`**` is not allowed in an expression",
    "adam(*[1])": "`*` is not allowed in an expression",
    "adam(f'{1}')": "an f-string is not allowed in an expression",
    "adam((x := 1))": "an assignment is not allowed in an expression",
    "[x for x in (1,)]": "a comprehension is not allowed in an expression",
    "(lambda: adam(1))()": "a call of a lambda is not allowed in an expression",
    "adam(1).update(1)": "an attribute of the result of a call is not allowed in an expression",
    "adam.__globals__": "unknown name 'adam.__globals__'",
    "adam.__call__(1)": "unknown function 'adam.__call__'; an expression calls only what `optcc list` shows",
    "__import__('os').system('ls')": "an attribute of the result of a call is not allowed in an expression",
    "eval('1')": "unknown function 'eval'; an expression calls only what `optcc list` shows",
    "optcc.compile(1, 2)": "unknown function 'optcc.compile'; an expression calls only what `optcc list` shows",
    "global_norm(1)": "unknown function 'global_norm'; an expression calls only what `optcc list` shows",
    "import os": "not an expression: invalid syntax",
    "adam(1e-3)\nadam(1e-3)": "not an expression: invalid syntax",
    "adam(\0)": "not an expression: source code string cannot contain null bytes",
    "a" * 10_001: "the expression has 10,001 characters; the limit is 10,000",
    "(" * 150 + "1" + ")" * 150: "the expression is 1, not an optimizer",
    "chain(" * 60 + "1" + ")" * 60: "nested more than 50 levels deep",
    "1" + "+1" * 4_900: "nested more than 50 levels deep",
    "-" * 9_000 + "1": "nested more than 50 levels deep",
    "[" * 5_000: "not an expression: too many nested parentheses",
}


@pytest.mark.parametrize("text", FIRST_LINES, ids=lambda text: text[:40])
def test_what_is_not_allowed_is_refused(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(optcc.ExpressionError) as refusal:
        parse_optimizer(text)
    assert str(refusal.value).splitlines()[0] == FIRST_LINES[text]
    assert time.perf_counter() - start < 5


def test_long_line_is_shown_around_the_place() -> None:
    text = f"chain({'identity(), ' * 30}adamm(1e-3), {'identity(), ' * 30})"
    with pytest.raises(optcc.ExpressionError) as refusal:
        parse_optimizer(text)
    line, carets = str(refusal.value).splitlines()[2:4]
    assert len(line) <= 110
    assert line[carets.index("^") : carets.rindex("^") + 1] == "adamm"


def test_callables_are_the_public_transformations_and_schedules() -> None:
    names = callables()
    assert {"adamw", "chain", "masked", "scale_by_adam", "cosine_decay_schedule", "sgdr_schedule"} <= names.keys()
    assert not {"compile", "global_norm", "apply_updates", "with_extra_args_support", "EmptyState"} & names.keys()
    assert all(inspect.isfunction(f) and f.__module__.startswith("optcc.") for f in names.values())


def test_parsed_chain_is_optcc_own_definition() -> None:
    definition = definition_of(parse_optimizer("chain(clip(1.0), sgd(1e-3))"))
    assert [child.name for child in definition.children] == ["clip", "chain"]
