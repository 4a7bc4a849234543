"""What the public modules say of a name they have not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from optcc.errors import did_you_mean, message


def missing_name(module: str) -> Callable[[str], NoReturn]:
    """A ``__getattr__`` for a module that serves names of Optax.

    Its AttributeError names the closest public names, and says that Optax's own works: optcc imports init/update pairs.
    """

    def missing(name: str) -> NoReturn:
        what = f"module {module!r} has no attribute {name!r}"
        if name.startswith("_"):
            raise AttributeError(what, name=name)
        public = [known for known in vars(sys.modules[module]) if not known.startswith("_")]
        theirs = f"optax{module.removeprefix('optcc')}.{name}"
        fix = f"a transformation of another library works, too: optcc.compile and optcc.chain take {theirs}(...)"
        hint = did_you_mean(name, public)
        raise AttributeError(message(what, fix=f"{hint} Otherwise {fix}" if hint else fix), name=name)

    return missing
