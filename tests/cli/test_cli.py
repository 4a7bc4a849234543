"""The command line: output files, lists, usage, progress, and what a process does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest
import xdsl
from rich.console import Console

import optcc
from optcc.cli import console, listing, output, progress
from optcc.cli.app import app
from optcc.passes import PASSES, usage
from optcc.runtime.native import library
from tests.cli.calls import EXPRESSION, STEP, TINY, error, optcc_, stdout

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
    text = stdout("--version")
    assert text.startswith(f"optcc {optcc.__version__} (jax {jax.__version__}, jaxlib ")
    assert f", xdsl {xdsl.__version__}, llvm " in text


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


@pytest.mark.parametrize(("words", "found"), [("optcc re", "plain,report"), ("optcc report --mea", "plain,--measure")])
def test_completion(
    words: str, found: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a shell asks for at a tab, as `_OPTCC_COMPLETE=bash_source optcc` sets it up."""
    for name, value in {
        "_OPTCC_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        app(prog_name="optcc")
    assert ended.value.code == 0
    assert found in capsys.readouterr().out.splitlines()


def test_signatures_show_no_addresses() -> None:
    assert " at 0x" not in stdout("list")
