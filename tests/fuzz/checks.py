"""What is asked of every random input. Each check returns None, or the failure in words that do not name the input."""

from __future__ import annotations

import traceback
from collections.abc import Iterable

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import PassFailedException

from optcc.dialect import context
from optcc.passes import PASSES, run_passes
from optcc.passes.analysis.verify import verify_module
from optcc.program.module_text import Chunk, SourceError, print_module

ALONE = tuple(name for name in PASSES if name not in ("pack-slots", "shard"))
"""The passes that need no layout and no mesh."""


def failure_of_text(text: str, passes: Iterable[str] = ALONE) -> str | None:
    """Text is refused with its place, or it is a module that prints as it parses and that every pass keeps valid."""
    try:
        module = Chunk("fuzz", text).parse()
    except SourceError as error:
        return None if "where: fuzz" in str(error) else f"parse: no place in {error}"
    except Exception as error:
        return f"parse: {_described(error)}"
    return failure_of_module(module, passes)


def failure_of_module(module: ModuleOp, passes: Iterable[str] = ALONE) -> str | None:
    """A valid module prints as it parses, in both forms, and every pass alone keeps it valid or refuses it."""
    if failure := failure_of_print(module, "print"):
        return failure
    for name in passes:
        changed = module.clone()
        try:
            run_passes(changed, [PASSES[name]()], context())
        except PassFailedException:
            continue
        except Exception as error:
            return f"{name}: {_described(error)}"
        if failure := failure_of_print(changed, f"print after {name}"):
            return failure
    return None


def failure_of_print(module: ModuleOp, what: str) -> str | None:
    """What is printed is read back as the same module, and is printed as the same text again."""
    for generic in (False, True):
        try:
            text = print_module(module, generic=generic)
            again = Chunk("fuzz", text).parse()
        except Exception as error:
            return f"{what}: {_described(error)}"
        if print_module(again, generic=generic) != text or not again.is_structurally_equivalent(module):
            return f"{what}: another module is read back"
        verify_module(again)
    return None


def _described(error: Exception) -> str:
    """The class of an error and the function that raised it; its text names the input."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/optcc/" in f.filename or "/passes/" in f.filename or "/dialect/" in f.filename]
    last = (ours or frames)[-1]
    return f"{type(error).__name__} in {last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
