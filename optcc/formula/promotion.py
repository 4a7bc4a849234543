"""How the dtypes and the extents of operands make those of a result: as JAX promotes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from xdsl.ir import SSAValue

from optcc.dialect import Extent, TreeType, is_coarser
from optcc.errors import message
from optcc.formula.values import HOST_F64, NO_ARRAY, USE_OPERATORS, Scalar, Tree


def finest_extent(extents: Sequence[str]) -> str:
    """The extent of an operation on values of some extents: two different axis extents span the elements."""
    finest = min(extents, key=lambda extent: sum(is_coarser(extent, other) for other in extents))
    clash = any(not is_coarser(other, finest) and other != finest for other in extents)
    return Extent.ELEMENTS if clash else finest


def logical_dtype(value: Any, group: int) -> Any:
    """The dtype with which an operand takes part in promotion, in a dtype group of leaves."""
    if isinstance(value, Tree):
        return value.dtypes[group]
    return value.dtype if isinstance(value, Scalar) and not value.weak else weak_type(value)


def weak_type(value: Any) -> Any:
    """A Python type that promotes as JAX promotes a weakly typed value."""
    if isinstance(value, bool | int | float | np.generic):
        return type(value)
    if not isinstance(value, Scalar):
        raise TypeError(message(f"{NO_ARRAY}, but the other operand is {value!r}", fix=USE_OPERATORS))
    if value.dtype is HOST_F64 or jnp.issubdtype(value.dtype, jnp.floating):
        return float
    return bool if value.dtype == bool else int


def promote(dtypes: Sequence[Any]) -> np.dtype:
    """The dtype of a result, as JAX promotes."""
    return np.dtype(jnp.result_type(*dtypes))


def tree_type(value: SSAValue) -> TreeType:
    """The type of a value that is a tree."""
    assert isinstance(value.type, TreeType)
    return value.type
