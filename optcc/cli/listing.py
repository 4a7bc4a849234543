"""`optcc list`: what can be named on the command line."""

from __future__ import annotations

import click


@click.command("list")
def list_command() -> None:
    """List what can be named on the command line."""
