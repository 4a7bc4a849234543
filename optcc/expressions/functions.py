"""The functions that an expression may call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

FAMILIES = ("transforms", "wrappers", "schedules")
"""The packages of optcc whose public functions may be called."""


@cache
def callables() -> Mapping[str, Callable[..., Any]]:
    """Those functions of optcc's public list that are defined in `FAMILIES`, and the classes that stand for a pair."""
    import optcc

    found: dict[str, Callable[..., Any]] = {"MultiSteps": _to_pair(optcc.MultiSteps)}
    for namespace in (optcc.schedules, optcc.contrib, optcc):
        for name in dir(namespace):
            function = getattr(namespace, name)
            if inspect.isfunction(function) and family(function) in FAMILIES and not name.startswith("_"):
                found[name] = function
    return dict(sorted(found.items()))


def is_contrib(name: str) -> bool:
    """Whether a function may be written with `contrib.` in front."""
    import optcc

    return hasattr(optcc.contrib, name)


def _to_pair(wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """A class whose objects are used as an init/update pair, as a function that returns the pair."""

    @functools.wraps(wrapper, updated=())
    def make(*args: Any, **kwargs: Any) -> Any:
        return wrapper(*args, **kwargs).gradient_transformation()

    return make


def family(function: Callable[..., Any]) -> str:
    """The package of optcc that a function is defined in, such as `schedules`; empty for another library's."""
    library, _, rest = function.__module__.partition(".")
    return rest.partition(".")[0] if library == "optcc" else ""


def signature_of(name: str) -> str:
    """The parameters of a public function with their defaults, without types."""
    signature = inspect.signature(callables()[name])
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
