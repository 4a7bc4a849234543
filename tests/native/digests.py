"""Steps of native optimizers whose results are compared bit by bit, in this process and in others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import optcc
from tests.table import BY_NAME, Row

ROWS = [
    BY_NAME[name]
    for name in (
        "adamw",
        "clip_adamw",
        "lamb",
        "lion",
        "novograd",
        "lars",
        "sgd_momentum",
        "adafactor",
        "sm3",
        "clip_units_adamw",
    )
]
"""Of each kind of fold."""
Size = int | tuple[int, ...]
SIZES: tuple[Size, ...] = (
    (),
    0,
    1,
    7,
    32_767,
    32_768,
    32_769,
    131_073,
    (300, 500),
    (1000, 200),
    (3, 40, 50),
    (20, 9000),
)
"""Around the bounds of chunks, and leaves of higher rank."""


def sizes_for(row: Row) -> list[Size]:
    """Those that a chain takes."""
    return [size for size in SIZES if len(size if isinstance(size, tuple) else (size,)) >= row.least_rank]


def parameters(sizes: Sequence[Size], seed: int, dtype: Any = jnp.float32) -> list[jax.Array]:
    rng = np.random.default_rng(seed)
    return [jnp.asarray(rng.normal(size=size), dtype) for size in sizes]


def gradients(sizes: Sequence[Size], seed: int, dtype: Any = jnp.float32) -> list[jax.Array]:
    return parameters(sizes, 1000 + seed, dtype)


def trajectory(opt: Any, sizes: Sequence[Size], seed: int, steps: int = 3) -> str:
    """The hash of parameters and state after some steps."""
    params = parameters(sizes, seed)
    grads = [gradients(sizes, seed + k) for k in range(2)]
    state = opt.init(params)
    for step in range(steps):
        params, state = opt.step(grads[step % 2], state, params)
    return hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves((params, state)))).hexdigest()


def digest() -> str:
    """Of chains with folds of every extent, over leaves of every kind."""
    found = ""
    for name in ("clip_adamw", "lamb", "sm3", "clip_units_adamw"):
        sizes = sizes_for(BY_NAME[name])
        opt = optcc.compile(BY_NAME[name].make(optcc), parameters(sizes, 0), backend="native")
        found += trajectory(opt, sizes, 0)
    return hashlib.sha256(found.encode()).hexdigest()
