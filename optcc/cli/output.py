"""Writing results: to standard output, or to a file that is there either whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from optcc.errors import OptccError, message

STDOUT = "-"


class OutputError(OptccError):
    """A result that cannot be written where it was asked for."""


def check_writable(target: str | None) -> None:
    """Check, before long work, that a result can be written. Raises OutputError."""
    if target is None or target == STDOUT:
        return
    path = Path(target)
    if path.is_dir():
        raise OutputError(message("cannot write the result: this is a folder", target, "name a file in it"))
    if not path.resolve().parent.is_dir():
        raise OutputError(
            message("cannot write the result: there is no such folder", str(path.parent), "make it first")
        )


def write(text: str, target: str | None) -> None:
    """Write text to a file, or to standard output for None and `-`. Raises OutputError."""
    if not text.endswith("\n"):
        text += "\n"
    if target is None or target == STDOUT:
        click.echo(text, nl=False)
        return
    try:
        _replace(Path(target).resolve(), text)
    except OSError as error:
        raise OutputError(message(f"cannot write the result: {error.strerror or error}", target)) from None


def _replace(path: Path, text: str) -> None:
    """Write next to the target and move into place; what is no regular file, such as a device, is written directly."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
