"""Where in which transformation an op comes from: its location in the IR, which passes keep."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from xdsl.dialects.builtin import FileLineColLoc, IntAttr, LocationAttr, NameLoc, StringAttr, UnknownLoc
from xdsl.ir import Block

_HERE = str(Path(__file__).parent)
"""Code in this folder emits ops for a formula and is none itself."""
_PACKAGE = str(Path(__file__).parent.parent)


def locate(block: Block, scope: str) -> None:
    """Give the last ops of a block that have no location that of the formula's line that runs, named by `scope`.

    Ops in their regions get it, too.
    """
    op = block.last_op
    if op is None or not isinstance(op.location, UnknownLoc):
        return
    location = _location(scope, *_line_that_runs())
    while op is not None and isinstance(op.location, UnknownLoc):
        for inner in op.walk():
            inner.location = location
        op = op.prev_op


def _line_that_runs() -> tuple[str, int]:
    """File and line of the innermost caller outside of this folder; optcc's own files by their path in the package."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    name = frame.f_code.co_filename
    return name.replace(_PACKAGE, "optcc", 1) if name.startswith(_PACKAGE) else name, frame.f_lineno


@cache
def _location(scope: str, file: str, line: int) -> LocationAttr:
    place = FileLineColLoc(StringAttr(file), IntAttr(line), IntAttr(0))
    return NameLoc(StringAttr(scope), place) if scope else place
