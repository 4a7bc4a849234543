"""Rows whose update needs extra arguments: the value of the loss. They are not among the chains that all tests take."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax.numpy as jnp

from tests.table.row import GLOBAL_NORM, Row, decay
from tests.trees import WITH_EMPTY

MODEL = "the model of the loss is a product over all leaves; the moments are computed again"


def loss(step: int) -> dict[str, Any]:
    """A loss that falls, and rises again now and then."""
    return {"value": jnp.float32(1.5 - 0.1 * step + 0.5 * math.sin(3 * step))}


_Row = partial(Row, extra=loss, reduces=True, drifts=True, leaves=(WITH_EMPTY,), mixed=False, brief=True)

ROWS = [
    _Row(
        "polyak_sgd",
        lambda lib: lib.polyak_sgd(0.5, decay(lib), 0.1, 0.01, "sps+"),
        sweeps=2,
        bytes=16.00,
        why=GLOBAL_NORM,
        listed="polyak_sgd()",
    ),
    _Row("scale_by_polyak", lambda lib: lib.scale_by_polyak(0.1, 0.5, 0.01), sweeps=2, bytes=16.00, why=GLOBAL_NORM),
    _Row(
        "reduce_on_plateau",
        lambda lib: lib.chain(lib.sgd(0.1), lib.contrib.reduce_on_plateau(0.5, 2, 0.01, 0.01, 1, 2, 0.1)),
        sweeps=1,
        bytes=12.00,
        listed="contrib.reduce_on_plateau()",
    ),
    _Row(
        "momo",
        lambda lib: lib.contrib.momo(0.5, 0.8, 0.1, 0.05),
        sweeps=2,
        bytes=28.00,
        why=MODEL,
        listed="contrib.momo()",
    ),
    _Row(
        "momo_bound",
        lambda lib: lib.contrib.momo(decay(lib), 0.8, -1.0, 0.05, True),
        sweeps=2,
        bytes=28.00,
        why=MODEL,
    ),
    _Row(
        "momo_adam",
        lambda lib: lib.contrib.momo_adam(0.5, 0.8, 0.95, 1e-3, 0.1, 0.05),
        sweeps=2,
        bytes=40.00,
        why=MODEL,
        listed="contrib.momo_adam()",
    ),
    _Row(
        "momo_adam_bound",
        lambda lib: lib.contrib.momo_adam(decay(lib), 0.8, 0.95, 1e-3, -0.5, 0.05, True),
        sweeps=2,
        bytes=40.00,
        why=MODEL,
    ),
]
