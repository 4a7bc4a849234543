"""Arguments that may be a function or what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import jax


def is_function(given: Any) -> TypeGuard[Callable[..., Any]]:
    """A function, or a pytree of nothing but functions, as for instance a module with a call method.

    A container that has a call method of its own, such as a model of flags or of labels, is read, not called.
    """
    leaves = jax.tree.leaves(given)
    return bool(leaves) and callable(given) and all(map(callable, leaves))
