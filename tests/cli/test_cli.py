"""The command line: what it prints, exit codes, and the text of every error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import optcc
from optcc.cli import console, listing, output, progress
from optcc.cli.app import app
from optcc.expressions import parse_optimizer
from optcc.params import load_params
from optcc.passes import PASSES, PIPELINES, runs_of, usage
from optcc.runtime.native import library
from optcc.runtime.optimizer import CompiledOptimizer

EXPRESSION = "chain(clip_by_global_norm(1.0), adamw(3e-4))"
TINY = '{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}'
HEADER = re.compile(r"^// -----// IR after (\S+) //----- //$", re.MULTILINE)
STEP = [one.name for one in PIPELINES["step"]]
RUNS = [str(run) for run in runs_of(PIPELINES["step"])]


def optcc_(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, arguments, input=stdin)


def stdout(*arguments: str, stdin: str | None = None) -> str:
    result = optcc_(*arguments, stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def error(*arguments: str, stdin: str | None = None) -> str:
    """The message of a user error: nothing else is printed, and the exit code is 1."""
    result = optcc_(*arguments, stdin=stdin)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stderr.startswith("error: ")
    return result.stderr.removeprefix("error: ").removesuffix("\n")


@pytest.fixture(scope="module")
def compiled() -> CompiledOptimizer:
    return optcc.compile(parse_optimizer(EXPRESSION), load_params(TINY))


@pytest.fixture
def built(compiled: CompiledOptimizer, tmp_path: Path) -> str:
    """A file with the module before any pass."""
    file = tmp_path / "built.mlir"
    file.write_text(compiled.ir("optim"))
    return str(file)


# compile


@pytest.mark.parametrize("stage", ["optim", "sweeps", "apply-updates", "fuse-maps", "form-sweeps"])
def test_compile_emits_ir(stage: str, compiled: CompiledOptimizer) -> None:
    assert stdout("compile", EXPRESSION, "--params", TINY, "--emit", stage) == compiled.ir(stage)


def test_compile_emits_sweeps_by_default(compiled: CompiledOptimizer) -> None:
    assert stdout("compile", EXPRESSION, "--params", TINY) == compiled.ir("sweeps")


def test_compile_emits_stablehlo_and_hlo(compiled: CompiledOptimizer) -> None:
    assert "stablehlo.sqrt" in stdout("compile", EXPRESSION, "--params", TINY, "--emit", "stablehlo")
    assert "input_output_alias" in stdout("compile", EXPRESSION, "--params", TINY, "--emit", "hlo")


def test_report_is_compile_emit_report() -> None:
    text = stdout("report", EXPRESSION, "--params", TINY)
    assert re.search(r"^sweeps: +2$", text, re.MULTILINE)
    assert stdout("compile", EXPRESSION, "--params", TINY, "--emit", "report") == text


def test_report_of_a_backend() -> None:
    text = stdout("report", EXPRESSION, "--params", TINY, "--backend", "stablehlo")
    assert "sweep 0 runs as stablehlo: it was asked for" in text


def test_compile_emits_kernels(compiled: CompiledOptimizer) -> None:
    assert stdout("compile", EXPRESSION, "--params", TINY, "--emit", "llvm") == f"{compiled.llvm()}"
    assert "sqrt" in stdout("compile", EXPRESSION, "--params", TINY, "--emit", "asm")
    text = error("compile", EXPRESSION, "--params", TINY, "--emit", "llvm", "--backend", "stablehlo")
    assert text == "no sweep of this optimizer has a native kernel\n  where: --emit llvm"


def test_compile_gpt2_has_two_sweeps() -> None:
    text = stdout("compile", EXPRESSION, "--params", "gpt2", "--emit", "sweeps", "--verify-each")
    assert len(re.findall(r"= optim\.sweep ", text)) == 2
    assert text.count("[50257, 768]") == 1


def test_compile_float64() -> None:
    text = stdout("compile", "adam(1e-3)", "--params", '[{"shape": [3], "dtype": "float64"}]', "--emit", "stablehlo")
    assert "tensor<3xf64>" in text


def test_compile_prints_every_stage(compiled: CompiledOptimizer) -> None:
    result = optcc_("compile", EXPRESSION, "--params", TINY, "--print-ir-after-all", "--emit", "sweeps")
    assert result.exit_code == 0
    assert result.stdout == compiled.ir("sweeps")
    assert HEADER.findall(result.stderr) == ["optim", *RUNS]
    first, *_, last = [part.strip() for part in HEADER.split(result.stderr)[2::2]]
    assert (first, last) == (compiled.ir("optim").strip(), compiled.ir("sweeps").strip())


def test_compile_times_passes() -> None:
    result = optcc_("compile", EXPRESSION, "--params", TINY, "--time-passes", "-o", os.devnull)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stderr.splitlines()] == ["pass", *RUNS, "total"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ("adamm(1e-3)", "--params", TINY),
            "unknown function 'adamm'; an expression calls only what `optcc list` shows\n  where: column 1\n"
            "         adamm(1e-3)\n         ^^^^^\n  fix:   did you mean 'adam",
        ),
        (
            ("adam(1e-3)", "--params", "gtp2"),
            "unknown preset 'gtp2'\n  where: --params\n  fix:   did you mean 'gpt2'?",
        ),
        (
            ("adam(1e-3)", "--params", "no.safetensors"),
            "no such file\n  where: no.safetensors\n  fix:   check the path, or name a preset (`optcc list params`)",
        ),
        (
            ("adam(1e-3)", "--params", TINY, "--emit", "fuse-map"),
            "unknown stage or pass 'fuse-map'\n  where: --emit\n  fix:   did you mean 'fuse-maps'?",
        ),
        (
            ("adam(1e-3)", "--params", TINY, "--emit", "dce"),
            "the pass 'dce' is not part of compilation\n  where: --emit\n  fix:   one of optim, sweeps, stablehlo, ",
        ),
        (
            ("adamw(1e-3, mask={'x': True})", "--params", TINY),
            "the mask is no pytree of bools that is a prefix of the parameters: ",
        ),
        (
            ("adam(1e-3)", "--params", TINY, "-o", "no/such/folder/x.mlir"),
            "cannot write the result: there is no such folder\n  where: no/such/folder\n  fix:   make it first",
        ),
        (
            ("adam(1e-3)", "--params", TINY, "-o", "."),
            "cannot write the result: this is a folder\n  where: .\n  fix:   name a file in it",
        ),
    ],
)
def test_compile_errors(arguments: tuple[str, ...], expected: str) -> None:
    assert error("compile", *arguments).startswith(expected)


def test_parameters_that_are_no_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "int_params.py").write_text("import numpy as np\nparams = {'n': np.zeros(3, np.int32)}\n")
    monkeypatch.chdir(tmp_path)
    text = error("compile", "adam(1e-3)", "--params", "int_params:params")
    assert text.startswith("a parameter must be a float or complex array, got int32[3]\n  where: leaf 'n'\n  fix:   ")


# opt


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


# -o


def test_output_file_is_whole_or_not_there(tmp_path: Path, built: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder" / "out.mlir"
    target.parent.mkdir()
    assert stdout("opt", built, "-o", str(target)) == ""
    assert target.read_text() == Path(built).read_text()
    assert target.stat().st_mode & 0o777 == 0o666 & ~output._umask()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    target.write_text("old")
    assert error("opt", built, "-o", str(target)) == (
        f"cannot write the result: No space left on device\n  where: {target}"
    )
    assert [(path.name, path.read_text()) for path in target.parent.iterdir()] == [("out.mlir", "old")]


def test_output_keeps_the_mode_and_the_link(tmp_path: Path, built: str) -> None:
    target, link = tmp_path / "real.mlir", tmp_path / "link.mlir"
    target.touch(mode=0o600)
    link.symlink_to(target)
    assert stdout("opt", built, "-o", str(link)) == ""
    assert link.is_symlink()
    assert target.read_text() == Path(built).read_text()
    assert target.stat().st_mode & 0o777 == 0o600


# list and the rest


def test_list() -> None:
    assert re.search(r"^adamw\(learning_rate, .*\)  Adam ", stdout("list", "optimizers"), re.MULTILINE)
    assert "\nclip_by_global_norm(max_norm)  Scale the updates" in stdout("list", "transforms")
    assert "cosine_decay_schedule" in stdout("list", "schedules")
    passes = stdout("list", "passes")
    assert all(re.search(rf"^{re.escape(usage(one))} +[A-Z].*\.$", passes, re.MULTILINE) for one in PASSES.values())
    assert f"step    {','.join(STEP)}" in stdout("list", "pipelines")
    assert re.search(r"^gpt2 +148 +124,439,808 +float32 ", stdout("list", "params"), re.MULTILINE)
    everything = stdout("list")
    assert not re.search(r" $|<function|<class", everything, re.MULTILINE)
    assert all(title in everything.split() for title in ("optimizers", "schedules", "passes", "pipelines", "params"))
    assert everything.splitlines()[-1].startswith("native CPU kernels: ")


def test_list_on_a_terminal_is_as_wide_as_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "output_console", lambda: Console(width=80))
    text = "".join(listing._section(kind).rich() for kind in listing.KINDS)
    assert max(map(len, text.splitlines())) <= 80
    assert "clip_by_global_norm" in text


def test_list_says_why_there_are_no_native_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    text = stdout("list")
    assert "native CPU kernels: not available: optcc was installed without its native library" in text
    assert "fix:   install g++ or clang++" in text


def test_native_backend_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_FOLDER", tmp_path)
    text = error("report", EXPRESSION, "--params", TINY, "--backend", "native")
    assert text.startswith("optcc was installed without its native library: ")
    assert "0 of 2 sweeps native" in stdout("report", EXPRESSION, "--params", TINY)


def test_version() -> None:
    assert stdout("--version") == f"optcc {optcc.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("compile", "adam(1)"), ("compil",), ("opt",), ("list", "pases"), ("opt", "-", "--nonsense")]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    result = optcc_(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_progress_is_shown_on_a_terminal_after_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(*, terminal: bool, delay: float, work: float, quiet: bool = False) -> bool:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
        with progress.Phases(("one", "two"), quiet=quiet, delay=delay) as phases:
            phases.enter("two")
            if phases._timer is not None:
                phases._timer.join(work)
        return phases._bar is not None

    assert shown(terminal=True, delay=0.01, work=10)
    assert not shown(terminal=True, delay=60, work=0.01)
    assert not shown(terminal=False, delay=0.01, work=0.1)
    assert not shown(terminal=True, delay=0.01, work=0.1, quiet=True)


# As a process


def process(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(optcc.__file__).parents[1]), **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "optcc", *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_closed_pipe_is_quiet() -> None:
    with process("list") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 0


def test_interrupt_exits_130(tmp_path: Path) -> None:
    # A shell without job control starts what it puts into the background with interrupts ignored, the tests maybe, too.
    (tmp_path / "interrupting.py").write_text(
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nsignal.raise_signal(signal.SIGINT)\n"
    )
    with process("compile", "adam(1)", "--params", "interrupting:x", "-o", "out.mlir", cwd=tmp_path) as running:
        assert running.communicate() == ("", "interrupted\n")
    assert running.returncode == 130
    assert not (tmp_path / "out.mlir").exists()


def test_error_has_no_traceback() -> None:
    with process("compile", "adam(1)", "--params", "[3]", "--emit", "hlo", JAX_PLATFORMS="none") as running:
        out, err = running.communicate()
    assert (running.returncode, out) == (1, "")
    assert err.startswith("error: Unable to initialize backend 'none': ")
    assert err.endswith("\n  where: JAX\n  fix:   set JAX_PLATFORMS=cpu\n")
