"""What transformations with numbers of the whole step in their state share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from optcc import base
from optcc.errors import message

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


def narrowest(params: Tree) -> np.dtype:
    """The narrowest dtype of the leaves, in which Optax keeps such a number; float32 without a leaf."""
    from optcc.dtypes import real_of

    return min(map(real_of, params.dtypes.values()), key=lambda dtype: dtype.itemsize, default=np.dtype(np.float32))


def widest(params: Tree) -> np.dtype:
    """The widest dtype of the leaves; float32 without a leaf."""
    from optcc.dtypes import real_of

    return max(map(real_of, params.dtypes.values()), key=lambda dtype: dtype.itemsize, default=np.dtype(np.float32))


def wide(b: Builder, scalar: Scalar) -> Scalar:
    """A number of the state to compute with: in float32 at least, and without a say in the dtypes of leaves."""
    from optcc.dtypes import compute_dtype

    return b.cast_scalar(scalar, compute_dtype(scalar.dtype), weak=True)


def constants(**given: base.ScalarOrSchedule) -> dict[str, Any]:
    """Those arguments that are numbers, the hyperparameters of a definition; the others are schedules."""
    return {name: value for name, value in given.items() if not callable(value)}


def value_at(b: Builder, given: base.ScalarOrSchedule, count: Scalar, hyper: Scalar | None) -> Scalar:
    """The value of an argument at a step: a schedule's at `count`, or the hyperparameter that it is.

    It has no say in the dtypes of leaves.
    """
    if callable(given):
        return wide(b, b.schedule(given, count))
    assert hyper is not None
    return hyper


def extra_scalar(b: Builder, name: str) -> Scalar:
    """An extra argument of ``update`` that is one number, such as ``value=``.

    Raises TypeError where it is missing, ValueError where it is None or not one number.
    """
    given = b.extra_args or {}
    fix = f"call update(updates, state, params, {name}=...)"
    if name not in given:
        raise TypeError(message(f"update needs the keyword argument {name!r}", b.where_in_chain, fix))
    shapes = b.shapes(given[name])
    if [x.shape for x in shapes] != [()]:
        got = "None" if not shapes else f"shapes {[list(x.shape) for x in shapes]}"
        raise ValueError(message(f"{name!r} must be one number, got {got}", b.where_in_chain, fix))
    return wide(b, b.unpack(given[name])[0])
