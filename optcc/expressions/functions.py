"""The functions that an expression may call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from optcc.base import GradientTransformation
from optcc.plugins import plugins

GROUP = "optcc.transforms"
"""The group of entry points, each the name of a transformation and its function."""
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


def known_names() -> tuple[str, ...]:
    """The names of all functions. Raises PluginError for a plug-in with a name that is taken."""
    return (*callables(), *plugins(GROUP, callables()))


def find(name: str) -> Callable[..., Any] | None:
    """The function of a name, ours or a plug-in's; None if there is none. Raises PluginError for a broken plug-in."""
    added = plugins(GROUP, callables())
    if name not in added:
        return callables().get(name)
    function = added[name].load()
    if not callable(function):
        raise added[name].error("is no function", "point it at a function that returns a transformation")
    return function


def is_plugin(name: str) -> bool:
    """Whether a function of this name is one that an installed distribution adds."""
    return name not in callables()


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


def signature_of(function: Callable[..., Any]) -> str:
    """The parameters of a function with their defaults, without types."""
    parameters = [
        p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else _Default(p.default))
        for p in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters))


class _Default:
    """A default value as it is shown: dtypes and functions by their names, transformations as ``...``."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        if isinstance(self._value, GradientTransformation):
            return "..."
        name = getattr(self._value, "__name__", None)
        return name if callable(self._value) and name is not None else repr(self._value)
