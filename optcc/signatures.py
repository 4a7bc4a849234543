"""Annotations that tools read: what takes a schedule says so as a type, not as a text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping


def resolve_schedules(names: Mapping[str, object]) -> None:
    """Put types in the place of the texts that name them, in functions that take a schedule or a number.

    `inspect.signature(optcc.adam).parameters["learning_rate"].annotation` is then a type, as in Optax,
    where tools ask by it whether an optimizer takes a schedule.
    """
    for value in names.values():
        if not inspect.isfunction(value):
            continue
        function = inspect.unwrap(value)
        for name, text in function.__annotations__.items():
            if isinstance(text, str) and "Schedule" in text and name != "return":
                function.__annotations__[name] = eval(text, function.__globals__)
