"""Checking literal arguments against the types that a function declares."""

from __future__ import annotations

import collections.abc
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from optcc.base import GradientTransformation

_LISTS = (collections.abc.Sequence, collections.abc.Iterable, list)
_DICTS = (collections.abc.Mapping, dict)
_WORDS: dict[Any, str] = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    complex: "a number",
    str: "a string",
    type(None): "None",
    collections.abc.Callable: "a schedule",
    tuple: "a tuple",
}


def hints_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The declared types of a function's parameters; none if they cannot be resolved."""
    target = inspect.unwrap(function)
    try:
        return get_type_hints(target.__init__ if isinstance(target, type) else target)
    except (NameError, TypeError, AttributeError):  # a type that is imported for type checkers only
        return {}


def fits(value: object, hint: object) -> bool:
    """True if a value may be passed where a type is declared; a type that is not understood accepts everything."""
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if hint in (float, complex):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is collections.abc.Callable:
        return callable(value)
    if origin in _LISTS:
        return isinstance(value, list | tuple) and all(fits(item, get_args(hint)[0]) for item in value)
    if origin in _DICTS:
        keys, values = get_args(hint)
        return isinstance(value, dict) and all(fits(k, keys) and fits(v, values) for k, v in value.items())
    kind = origin or hint
    if not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return True
    if issubclass(kind, GradientTransformation):
        return isinstance(value, GradientTransformation)
    return isinstance(value, kind)


def describe(hint: object) -> str:
    """The values that a type stands for, in words."""
    if get_origin(hint) in (Union, types.UnionType):
        options = get_args(hint)
        if float in options:  # also accepts these, but nobody means them
            options = [option for option in options if option not in (bool, int)]
        words = [describe(option) for option in options]
        return " or ".join(dict.fromkeys(word for word in words if word)) or "of another type"
    kind = get_origin(hint) or hint
    if isinstance(kind, type) and issubclass(kind, GradientTransformation):
        return "a transformation"
    if get_origin(hint) in _LISTS:
        return f"a list, each item {describe(get_args(hint)[0])}"
    if get_origin(hint) in _DICTS:
        return f"a dict from {' to '.join(describe(part) for part in get_args(hint))}"
    return _WORDS.get(kind, "")


def kind_of(value: object) -> str:
    """What a value of an expression is, in words or as itself."""
    if isinstance(value, GradientTransformation):
        return "a transformation"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(kind_of, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {kind_of(item)}' for key, item in value.items())}}}"
    return "a schedule" if callable(value) else repr(value)
