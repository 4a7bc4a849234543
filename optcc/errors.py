"""Errors for the user: what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def message(what: str, where: str = "", fix: str = "") -> str:
    """One error text of up to three lines."""
    lines = [what]
    if where:
        lines.append(f"  where: {where}")
    if fix:
        lines.append(f"  fix:   {fix}")
    return "\n".join(lines)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the closest known names, or says how to see them all."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


class OptccError(Exception):
    """Base of the errors that only optcc raises, for instance by the command line."""


class ExpressionError(OptccError, ValueError):
    """An optimizer expression that is not allowed or not valid."""


class ParamsError(OptccError, ValueError):
    """A description of parameters that cannot be read."""


class PipelineError(OptccError, ValueError):
    """An unknown pass or a malformed pipeline."""


class PluginError(OptccError):
    """A pass or a transformation that another distribution adds, and that cannot be used."""


class TreeMismatchError(OptccError, ValueError):
    """Arrays that do not fit the parameters the optimizer was made for."""


class DonationError(OptccError, RuntimeError):
    """An array that a step cannot be given: its buffer was donated before, or is given twice."""


class ShardingError(OptccError, ValueError):
    """Arrays that are sharded as something cannot take them."""


class MissingRuleError(OptccError, NotImplementedError):
    """An op that the interpreter cannot evaluate, or that a backend cannot lower."""


class TargetError(OptccError, ValueError):
    """A target that there is not, or one whose compiler is not installed."""
