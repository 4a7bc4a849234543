"""The chains that are timed, and optcc's and Optax's steps of them; what times them is `optcc.bench`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import optax

import optcc
from optcc.bench import contenders
from optcc.bench.contenders import Jax as Jax
from optcc.bench.contenders import Torch as Torch
from optcc.bench.contenders import arrays_like as arrays_like
from optcc.bench.contenders import returning as returning
from optcc.bench.contenders import temporaries_of as temporaries_of

CHAINS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda lib: lib.sgd(1e-3),
    "momentum": lambda lib: lib.sgd(1e-3, 0.9),
    "adam": lambda lib: lib.adam(1e-3),
    "adamw": lambda lib: lib.adamw(3e-4),
    "lion": lambda lib: lib.lion(1e-4),
    "clip_adamw": lambda lib: lib.chain(lib.clip_by_global_norm(1.0), lib.adamw(3e-4)),
    "lamb": lambda lib: lib.lamb(1e-3),
    "adafactor": lambda lib: lib.adafactor(1e-3),
}
IN_TORCH = ("sgd", "momentum", "adam", "adamw", "clip_adamw")


def ours(chain: str, shapes: Any, backend: str, layout: str, loop: int) -> tuple[Jax, float, Any, Any]:
    """`optcc.bench.contenders.ours` of a chain by its name."""
    return contenders.ours(CHAINS[chain](optcc), shapes, backend, layout, loop)


def theirs(chain: str, shapes: Any, loop: int) -> tuple[Jax, float, Any]:
    """`optcc.bench.contenders.theirs` of a chain by its name."""
    return contenders.theirs(CHAINS[chain](optax), shapes, loop)


def compiled_step(tx: Any, shapes: Any) -> Jax:
    """The compiled step of a chain, on arrays of its own."""
    compiled = optcc.compile(tx, shapes)

    def make() -> tuple[Any, Any, Any, Any]:
        params = arrays_like(shapes, 0)
        return lambda p, s, g: compiled.step(g, s, p), params, compiled.init(params), arrays_like(shapes, 1)

    return Jax(make)
