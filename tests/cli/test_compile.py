"""`optcc compile` and `optcc report`: what they print, and the text of every error."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from optcc.runtime.optimizer import CompiledOptimizer
from tests.cli.calls import EXPRESSION, HEADER, RUNS, TINY, error, optcc_, stdout


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
    assert len(re.findall(r"= optim\.sweep ", text.split("func.func @update(")[1])) == 2
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
    where = "leaf 'n' in chain[0] scale_by_adam"
    assert text.startswith(f"a parameter must be a float or complex array, got int32[3]\n  where: {where}\n  fix:   ")
