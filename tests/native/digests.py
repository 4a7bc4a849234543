"""Steps of native optimizers whose results are compared bit by bit, in this process and in others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import optcc

CHAINS: dict[str, Callable[[], Any]] = {
    "adamw": lambda: optcc.adamw(1e-2),
    "clip_adamw": lambda: optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-2)),
    "lamb": lambda: optcc.lamb(1e-2),
    "lion": lambda: optcc.lion(1e-2),
    "novograd": lambda: optcc.novograd(1e-2),
    "lars": lambda: optcc.lars(1e-2, 0.1),
    "momentum": lambda: optcc.sgd(1e-2, 0.9),
    "adafactor": lambda: optcc.adafactor(1e-2, min_dim_size_to_factor=8),
    "sm3": lambda: optcc.sm3(1e-2),
    "agc": lambda: optcc.chain(optcc.adaptive_grad_clip(0.01), optcc.centralize(), optcc.sgd(1e-2)),
}
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


def sizes_for(name: str) -> tuple[Size, ...]:
    """Those that a chain takes: sm3 takes no 0-d leaf."""
    return SIZES[1:] if name == "sm3" else SIZES


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
    for name in ("clip_adamw", "lamb", "sm3", "agc"):
        sizes = sizes_for(name)
        found += trajectory(optcc.compile(CHAINS[name](), parameters(sizes, 0), backend="native"), sizes, 0)
    return hashlib.sha256(found.encode()).hexdigest()
