"""Rich consoles: standard error, and standard output without a line width when it is no terminal."""

from __future__ import annotations

import sys

from rich.console import Console

UNLIMITED = 10_000
"""Columns of an output that is no terminal, so that no line is folded."""


def error_console() -> Console:
    """The console on standard error."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else UNLIMITED)


def output_console() -> Console:
    """The console on standard output."""
    return Console(width=None if sys.stdout.isatty() else UNLIMITED)
