"""Recognises folds over leaves: chains of additions, maxima and the like of one number for each leaf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from optcc.importers.flat_jaxprs import Array
from optcc.importers.primitives import FOLDS, NotImportedError
from optcc.importers.terms import Any_, Chain, Value


def link(name: str, values: Sequence[Any_], out: Array) -> Chain | None:
    """A link of a fold over leaves, if this is one: numbers of different leaves, or a fold so far."""
    if name not in FOLDS or out.shape != ():
        return None
    kind, (first, second) = FOLDS[name], values
    if not isinstance(second, Chain) and not (isinstance(second, Value) and second.leaf is not None):
        return None
    if isinstance(first, Chain):
        return checked(Chain(kind, first, second), out.dtype) if first.op == kind else None
    if not isinstance(first, Value) or first.leaf is None:
        return None
    if isinstance(second, Chain):
        return checked(Chain(kind, first, second), out.dtype) if second.op == kind else None
    if first.leaf == second.leaf:
        return None
    start = first.term
    if start.op == name and start.operands[0].kept is None and start.operands[1].kept is not None:
        # The first leaf's number was added to a number of the step.
        initial, item = (Value(t, leaf, ()) for t, leaf in zip(start.operands, (None, first.leaf), strict=True))
        return checked(Chain(kind, Chain(kind, initial, item), second), out.dtype)
    return checked(Chain(kind, first, second), out.dtype)


def checked(value: Any, dtype: np.dtype) -> Any:
    """A fold over leaves, or any other value. Raises NotImportedError for a fold that the IR has not."""
    if isinstance(value, Chain):
        expected = dtype == np.bool_ if value.op in ("and", "or") else jnp.issubdtype(dtype, jnp.floating)
        if not expected:
            raise NotImportedError(f"the IR folds no {dtype}")
    return value
