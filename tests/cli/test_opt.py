"""`optcc opt`: passes, stages and files, and the text of every error."""

from __future__ import annotations

from pathlib import Path

import pytest

from optcc.passes import PASSES
from optcc.runtime.optimizer import CompiledOptimizer
from tests.cli.calls import HEADER, STEP, error, optcc_, stdout


def test_opt_without_passes_is_a_round_trip(built: str, compiled: CompiledOptimizer) -> None:
    assert stdout("opt", built) == compiled.ir("optim")
    assert stdout("opt", "-", stdin=compiled.ir("sweeps")) == compiled.ir("sweeps")


def test_opt_runs_a_pipeline(built: str, compiled: CompiledOptimizer) -> None:
    assert stdout("opt", built, "-p", "step", "--verify-each") == compiled.ir("sweeps")
    assert stdout("opt", built, "-p", "apply-updates") == compiled.ir("apply-updates")
    assert stdout("opt", built, "-p", ",".join(STEP)) == compiled.ir("sweeps")


def test_opt_prints_every_stage(built: str) -> None:
    result = optcc_("opt", built, "-p", "canonicalize,cse", "--print-ir-after-all", "--time-passes")
    assert result.exit_code == 0
    assert HEADER.findall(result.stderr) == ["canonicalize", "cse"]
    assert HEADER.split(result.stderr)[-1].split("\n}\n")[0].strip() + "\n}\n" == result.stdout
    assert result.stderr.splitlines()[-1].startswith("total ")


def test_opt_prints_the_generic_form(built: str, compiled: CompiledOptimizer) -> None:
    text = stdout("opt", built, "--print-generic")
    assert text.startswith('"builtin.module"() ({\n  "optim.leaves"()')
    assert stdout("opt", "-", stdin=text) == compiled.ir("optim")


BAD_YIELD = """\
optim.leaves @a = ["b" : [4]]
func.func @f(%x: !optim.tree<f32, @a>) -> !optim.tree<f32, @a> {
  %0 = optim.map over @a (%1 = %x : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {
    %c = arith.constant 1 : i32
    optim.yield %c : i32
  }
  func.return %0 : !optim.tree<f32, @a>
}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            BAD_YIELD,
            "'optim.map' (C3): the body yields (i32), but the results' elements are (f32)\n  where: <stdin>:3:3\n"
            "           %0 = optim.map over @a (%1 = %x : !optim.tree<f32, @a>) -> (!optim.tree<f32, @a>) {\n"
            "           ^",
        ),
        (
            'optim.leafs @a = ["b" : [4]]',
            "Operation optim.leafs is not registered\n  where: <stdin>:1:1\n"
            "         optim.leafs @a = [\"b\" : [4]]\n         ^\n  fix:   did you mean 'optim.leaves'",
        ),
        (
            'optim.leaves @a = ["b" : [-4]]',
            "Expected integer literal\n  where: <stdin>:1:27\n"
            '         optim.leaves @a = ["b" : [-4]]\n                                   ^',
        ),
        (
            "func.func @f(%a: f32) -> f32 {\n  func.return %bad : f32\n}",
            "values used but not defined: [%bad]\n  where: <stdin>:2:15\n           func.return %bad : f32\n"
            "                       ^",
        ),
        (
            "func.func @f(%a: f32) -> f32 {\n  %b = arith.addf %a, %a : f32\n}",
            "'arith.addf': Operation arith.addf terminates block in single-block region but is not a terminator\n"
            "  where: <stdin>:2:3\n",
        ),
        (
            'optim.leaves @a = ["// b : [4], ' + "x" * 1000,
            "a string that is not closed, or not valid\n  where: <stdin>:1:20\n",
        ),
        (
            "builtin.module {\n",
            "the text ends too early: in block definition\n"
            "  where: <stdin>:1:17\n         builtin.module {\n                         ^",
        ),
        (
            "// a comment\n",
            "there is no operation in it\n  where: <stdin>\n  fix:   give text of the optim dialect",
        ),
    ],
)
def test_opt_refuses_invalid_text(text: str, expected: str) -> None:
    assert error("opt", "-", stdin=text).startswith(expected)


def test_opt_splits_its_input(compiled: CompiledOptimizer) -> None:
    good = 'builtin.module {\n  optim.leaves @a = ["b" : [4]]\n}\n'
    text = f"// RUN: optcc opt %s\n\n// -----\n{good}// -----\n{BAD_YIELD}// -----\nfoo\n// -----\n{good}"
    chunks = stdout("opt", "-", "--split-input-file", stdin=text).split("// -----\n")
    assert len(chunks) == 4
    assert (chunks[0], chunks[3]) == (good, good)
    assert chunks[1].startswith("error: 'optim.map' (C3): the body yields (i32), ")
    assert "  where: <stdin>:10:3\n" in chunks[1]
    assert chunks[2].startswith("error: ")
    assert "  where: <stdin>:17:" in chunks[2]


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ("fuse-map", "unknown pass 'fuse-map'\n  where: pipeline 'fuse-map'\n  fix:   did you mean 'fuse-maps'?"),
        ("nonsense", "unknown pass 'nonsense'\n  where: pipeline 'nonsense'\n  fix:   see `optcc list passes`"),
        ("cse{a=1}", "malformed pipeline: "),
        ("fuse-maps,,cse", "malformed pipeline: "),
        ("cse{", "malformed pipeline: "),
    ],
)
def test_opt_refuses_a_pipeline(built: str, pipeline: str, expected: str) -> None:
    assert error("opt", built, "-p", pipeline).startswith(expected)


def test_opt_file_errors(tmp_path: Path) -> None:
    assert error("opt", "no.mlir") == ("no such file\n  where: no.mlir\n  fix:   name a file, or - for standard input")
    binary = tmp_path / "binary.mlir"
    binary.write_bytes(b"\xff\xfe\x00")
    assert error("opt", str(binary)) == (f"not a text file\n  where: {binary}\n  fix:   give text of the optim dialect")
    assert error("opt", str(tmp_path)) == f"cannot read the file: Is a directory\n  where: {tmp_path}"


def test_opt_names_the_pass_that_fails(built: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from xdsl.utils.exceptions import PassFailedException

    def fail(*_: object) -> None:
        raise PassFailedException("cannot do this")

    monkeypatch.setattr(PASSES["fuse-maps"], "apply", fail)
    assert error("opt", built, "-p", "cse,fuse-maps") == "cannot do this\n  where: pass 2 of 2, 'fuse-maps'"
