"""What xDSL's tools know of optcc, by the entry point `xdsl.universe`: the dialect and its passes.

With it `xdsl-opt file.mlir -p fuse-maps` and `xdsl-gui` work where optcc is installed. Names of xDSL's own passes are
taken there: `cse` and `dce` are the same passes, and ours that canonicalizes is `optim-canonicalize`.
"""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.transforms import get_all_passes
from xdsl.universe import Universe

from optcc.dialect import Optim
from optcc.passes import PASSES


def _renamed(one: type[ModulePass]) -> type[ModulePass]:
    """The same pass under a name that xDSL does not use."""
    name = f"optim-{one.name}"
    return type(one.__name__, (one,), {"name": name, "__doc__": one.__doc__, "__module__": one.__module__})


def _passes() -> dict[str, Callable[[], type[ModulePass]]]:
    """Our passes; those of xDSL that are among them are there already."""
    theirs = get_all_passes()
    ours = [one for one in PASSES.values() if not one.__module__.startswith("xdsl.")]
    ours = [_renamed(one) if one.name in theirs else one for one in ours]
    return {one.name: (lambda one=one: one) for one in ours}


def _dialect() -> Dialect:
    return Optim


UNIVERSE = Universe(all_dialects={"optim": _dialect}, all_passes=_passes())
"""The entry point."""
