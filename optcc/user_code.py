"""Importing and running code of the user that the command line names, such as `module:attribute`."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TypeVar

from optcc.errors import did_you_mean, message

_T = TypeVar("_T")
LOOKED_FOR = "it is looked for in the current directory and in the environment"


class UserCodeError(Exception):
    """Code of the user that is not there, or that raised something: what, where and what to do."""

    def __init__(self, what: str, where: str, fix: str = "") -> None:
        super().__init__(message(what, where, fix))
        self.what, self.where, self.fix = what, where, fix


@contextmanager
def running_user_code() -> Iterator[None]:
    """Let modules of the current directory be imported, and put what is printed on standard error."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(here)


def import_attribute(module: str, attribute: str, *, option: str = "") -> Any:
    """What `module:attribute` is; both may have dots. Raises UserCodeError, to be used in `running_user_code`.

    `option` is what the module is the value of, for errors.
    """
    value: Any = _import(module, f"{option} {module}:...".strip())
    for part in attribute.split("."):
        if not hasattr(value, part):
            hint = did_you_mean(part, [name for name in dir(value) if not name.startswith("_")])
            raise UserCodeError(f"there is no attribute '{part}'", f"{module}:{attribute}", hint)
        value = getattr(value, part)
    return value


def _import(module: str, where: str) -> Any:
    def load() -> Any:
        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or f"{module}.".startswith(f"{error.name}."):
                raise UserCodeError(f"there is no module '{error.name}'", where, LOOKED_FOR) from None
            raise

    return guarded(load, f"importing {module}", where)


def guarded(work: Callable[[], _T], doing: str, where: str) -> _T:
    """Run code of the user; what it raises becomes a UserCodeError that names the line."""
    try:
        return work()
    except UserCodeError:
        raise
    except (Exception, SystemExit) as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<")]
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else where
        raise UserCodeError(f"{doing} raised {type(error).__name__}: {error}", place) from error
