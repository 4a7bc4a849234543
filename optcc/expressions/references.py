"""`module:function` in expressions: the user's own transformations."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from optcc.base import GradientTransformation, GradientTransformationExtraArgs
from optcc.expressions.argument_types import kind_of
from optcc.user_code import UserCodeError, guarded, import_attribute, running_user_code

COLON = ":"
_STRING_OR_REFERENCE = re.compile(
    r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|(?<![\w.])[^\W\d]\w*(?:\.[^\W\d]\w*)*(?P<colon>:)(?=[^\W\d])"""
)


def with_dots(text: str) -> tuple[str, frozenset[int]]:
    """A text with a dot for the colon of every `module:function`, which Python's parser takes, and their positions."""
    places = frozenset(m.start("colon") for m in _STRING_OR_REFERENCE.finditer(text) if m["colon"])
    return "".join("." if i in places else c for i, c in enumerate(text)), places


def load_reference(name: str) -> Any:
    """The function, or the pair, that `module:function` names. Raises UserCodeError."""
    module, _, attribute = name.partition(COLON)
    if module.partition(".")[0] in sys.stdlib_module_names:
        raise UserCodeError(f"'{module}' is a module of Python", name, "name one with a transformation of yours")
    with running_user_code():
        found = as_pair(import_attribute(module, attribute))
    if not isinstance(found, GradientTransformation) and not _is_callable(found):
        raise UserCodeError(f"{name} is {kind_of(found)}, neither a function nor a transformation", name)
    return found


def _is_callable(found: object) -> bool:
    """Whether this can be called with arguments that are checked before."""
    try:
        return callable(found) and inspect.signature(found) is not None
    except (TypeError, ValueError):  # written in C
        return False


def call_user_function(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The transformation or schedule that a function makes. Raises UserCodeError for anything that it raises."""
    with running_user_code():
        made = as_pair(guarded(lambda: function(*args, **kwargs), name, name))
    if not isinstance(made, GradientTransformation) and not callable(made):
        raise UserCodeError(f"{name} returned {kind_of(made)}, neither a transformation nor a schedule", name)
    return made


def as_pair(value: Any) -> Any:
    """A pair of another library, such as Optax, as one of optcc's types; everything else as it is."""
    if isinstance(value, GradientTransformation | type):
        return value
    if not callable(getattr(value, "init", None)) or not callable(getattr(value, "update", None)):
        return value
    extra = any(cls.__name__ == "GradientTransformationExtraArgs" for cls in type(value).__mro__)
    return (GradientTransformationExtraArgs if extra else GradientTransformation)(value.init, value.update)
