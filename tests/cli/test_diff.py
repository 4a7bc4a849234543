"""Comparing modules up to the names of values: when there is a difference, and that nothing else is shown."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, ModuleOp
from xdsl.ir import SSAValue
from xdsl.parser import Parser

import optcc
from optcc.cli.app import app
from optcc.dialect import context
from optcc.params import load_params
from optcc.passes import PIPELINES, Stage, run_passes
from optcc.passes.analysis import matching
from optcc.passes.analysis.diff import diff_modules
from optcc.passes.analysis.matching import match_values
from tests.fuzz.modules import module_text

TINY = '{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}'
CHAINS = {
    "clip_adamw": optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(3e-4)),
    "lamb_mask": optcc.lamb(1e-3, mask={"w": True, "b": False}),
    "adafactor": optcc.adafactor(1e-3),
}


def parse(text: str) -> ModuleOp:
    return Parser(context(), text).parse_module()


def values_of(module: ModuleOp) -> list[SSAValue]:
    return [
        value
        for op in module.walk()
        for value in (*op.results, *(a for region in op.regions for block in region.blocks for a in block.args))
    ]


def renamed(module: ModuleOp, seed: int) -> ModuleOp:
    """A copy in which values have other hints, or none."""
    copy = module.clone()
    generator = random.Random(seed)
    for value in values_of(copy):
        value.name_hint = generator.choice([None, "x", "params", "y_1", value.name_hint])
    return copy


def diff(old: ModuleOp, new: ModuleOp) -> list[str]:
    return diff_modules(old, new, "old", "new")


def changed(old: ModuleOp, new: ModuleOp) -> list[str]:
    """The lines of a diff that are not equal in both."""
    return [line for line in diff(old, new)[2:] if line[0] in "+-"]


@pytest.mark.parametrize("name", CHAINS)
def test_stages_of_a_chain(name: str) -> None:
    """There is a difference between two stages where xDSL finds their structures to differ; none from renaming."""
    stages = [module for _, module in optcc.compile(CHAINS[name], load_params(TINY)).staged.modules]
    for number, (old, new) in enumerate(itertools.pairwise(stages)):
        assert bool(diff(old, new)) is not old.is_structurally_equivalent(new)
        assert diff(old, renamed(old, number)) == []
        assert len(match_values(old, renamed(old, number))) == len(values_of(old))
        counts = len(changed(old, renamed(new, number))), len(changed(old, new))
        assert abs(counts[0] - counts[1]) <= 0.1 * counts[1], "the length of names may break other lines"
    assert changed(stages[0], stages[-1])


@pytest.mark.parametrize("shard", range(4))
def test_random_modules(shard: int) -> None:
    for number in range(shard, 16, 4):
        module = parse(module_text(number))
        last = module.clone()

        def after(stage: Stage, number: int = number) -> None:
            nonlocal last
            assert bool(diff(last, stage.module)) is not last.is_structurally_equivalent(stage.module)
            assert diff(stage.module, renamed(stage.module, number)) == []
            last = stage.module.clone()

        run_passes(module, PIPELINES["update"], context(), after_each=after)
        other = parse(module_text(number + 1))
        _check_form(diff(module, other), module, other)


def _check_form(lines: list[str], old: ModuleOp, new: ModuleOp) -> None:
    """Every hunk has as many lines as its head says, and names of values are unique on both sides."""
    for hunk in re.split(r"^@@", "\n".join(lines), flags=re.MULTILINE)[1:]:
        head, *body = hunk.split("\n")
        counts = re.fullmatch(r" -\d+,(\d+) \+\d+,(\d+) @@", head)
        assert counts is not None
        body = [line for line in body if line]
        assert sum(line[0] in " -" for line in body) == int(counts[1])
        assert sum(line[0] in " +" for line in body) == int(counts[2])
    pairs = match_values(old, new)
    assert len(set(pairs.values())) == len(pairs)


def test_one_change_is_one_line() -> None:
    """A constant that changed, an op that is gone, operands that were swapped: nothing below them is shown."""
    old = optcc.compile(CHAINS["clip_adamw"], load_params(TINY)).staged.module("optim")

    def first(module: ModuleOp, kind: type) -> arith.SubfOp:
        return next(op for op in module.walk() if isinstance(op, kind))  # type: ignore[return-value]

    new = old.clone()
    constants = (op for op in new.walk() if isinstance(op, arith.ConstantOp) and isinstance(op.value, FloatAttr))
    constant = next(constants)
    constant.properties["value"] = FloatAttr(0.75, constant.value.type)  # type: ignore[union-attr]
    before, after = changed(old, new)
    assert before.partition(" = ")[0][1:] == after.partition(" = ")[0][1:]
    assert "= arith.constant 7.500000e-01 : " in after

    new = old.clone()
    subtraction = first(new, arith.SubfOp)
    subtraction.operands = list(subtraction.operands)[::-1]
    assert len(changed(old, new)) == 2

    new = old.clone()
    subtraction = first(new, arith.SubfOp)
    subtraction.results[0].replace_all_uses_with(subtraction.operands[0])
    subtraction.detach()
    subtraction.erase()
    lines = changed(old, new)
    assert [line[0] for line in lines] == ["-", "-", "+", "-", "+"], "the op, and the two that used it"
    assert "arith.subf" in lines[0]


def test_sweeps_around_maps() -> None:
    """Of clip + adamw, form-sweeps changes no line of a body: ops that went into another op are found there."""
    staged = optcc.compile(CHAINS["clip_adamw"], load_params("mlp")).staged
    lines = changed(staged.module("canonicalize"), staged.module("form-sweeps"))
    assert 8 <= len(lines) < 80
    assert {name for line in lines for name in re.findall(r"(?:arith|math)\.\w+", line)} <= {"math.sqrt"}


def test_large_gaps_are_aligned_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    staged = optcc.compile(CHAINS["lamb_mask"], load_params(TINY)).staged
    old, new = staged.module("optim"), staged.module("fuse-maps")
    expected = len(changed(old, new))
    monkeypatch.setattr(matching, "MAX_TABLE", 0)
    assert diff(old, renamed(old, 0)) == []
    assert 0 < len(changed(old, new)) <= 2 * expected


def test_functions_of_other_names_do_not_correspond() -> None:
    old = parse("func.func @f(%x: f32) -> f32 {\n  func.return %x : f32\n}\n")
    new = parse("func.func @g(%x: f32) -> f32 {\n  func.return %x : f32\n}\n")
    assert len(changed(old, new)) == 2, "but for their names they are equal"


LONG = """\
func.func @f({arguments}) {{
  func.return
}}
"""


def test_long_lines_are_broken_at_their_commas() -> None:
    """An argument more is one line, not the whole signature twice; commas in strings and brackets break nothing."""

    def module(count: int) -> ModuleOp:
        arguments = [f'%a{i}: complex<f32> {{optim.slot = "a, {i}"}}' for i in range(count)]
        return parse(LONG.format(arguments=", ".join(arguments)))

    lines = changed(module(20), module(21))
    assert [line[0] for line in lines] == ["-", "+", "+"]
    assert all('"a, ' in line for line in lines)


# The command line


def optcc_(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_exit_codes_and_output(tmp_path: Path) -> None:
    staged = optcc.compile(CHAINS["clip_adamw"], load_params(TINY)).staged
    for stage in ("optim", "sweeps"):
        (tmp_path / f"{stage}.mlir").write_text(f"{staged.module(stage)!s}\n")
    old, new, out = (str(tmp_path / name) for name in ("optim.mlir", "sweeps.mlir", "out.diff"))
    assert optcc_("opt", "--diff", old, old) == (0, "", "")
    code, text, _ = optcc_("opt", "--diff", old, new)
    assert (code, text) == (
        1,
        "\n".join(diff_modules(staged.module("optim"), staged.module("sweeps"), old, new)) + "\n",
    )
    assert optcc_("opt", "--diff", old, new, "-o", out) == (1, "", "")
    with open(out) as file:
        assert file.read() == text
    assert optcc_("opt", "--diff", old, new, "-p", "step")[0] == 0, "the pipeline runs on both"
    code, text, _ = optcc_("compile", "adam(1e-3)", "--params", TINY, "--diff", "cse#1", "cse#2")
    assert code == 1
    assert text.startswith("--- cse#1\n+++ cse#2\n@@ -")
    assert optcc_("compile", "adam(1e-3)", "--params", TINY, "--diff", "cse", "cse#2") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("opt",), 2, "Give one FILE, or --diff FILE FILE."),
        (("opt", "x.mlir", "--diff", "x.mlir", "y.mlir"), 2, "Give one FILE, or --diff FILE FILE."),
        (("opt", "--diff", "x.mlir", "y.mlir", "--split-input-file"), 2, "--diff compares whole files"),
        (("opt", "--diff", "no.mlir", "no.mlir"), 1, "no such file\n  where: no.mlir"),
        (
            ("compile", "sgd(1.0)", "--params", "mlp", "--diff", "optim", "hlo"),
            1,
            "unknown stage of the IR or pass 'hlo'\n  where: --diff\n  fix:   one of optim, sweeps, apply-updates, ",
        ),
        (
            ("compile", "sgd(1.0)", "--params", "mlp", "--diff", "optim", "cse#3"),
            1,
            "the pass 'cse' has no run '3'\n  where: --diff\n  fix:   write cse#N with N from 1 to 2, or cse for ",
        ),
        (("compile", "sgd(1.0)", "--params", "mlp", "--diff", "optim"), 2, "Option '--diff' requires 2 arguments."),
    ],
)
def test_errors(arguments: tuple[str, ...], code: int, expected: str) -> None:
    got, stdout, stderr = optcc_(*arguments)
    assert (got, stdout) == (code, "")
    assert expected in stderr
