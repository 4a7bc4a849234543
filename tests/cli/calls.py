"""Calls of the command line in this process."""

from __future__ import annotations

import re

from click.testing import CliRunner, Result

from optcc.cli.app import app
from optcc.passes import PIPELINES, runs_of

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
