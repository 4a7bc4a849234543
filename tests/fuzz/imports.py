"""Random transformations as people write them, for the importer: what it makes of them must give the same numbers.

Run for longer:  python -m tests.fuzz.imports --first 0 --count 500
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.importers.chains import follow, opaque_parts

SHAPES: dict[str, tuple[int, ...]] = {"a": (3, 4), "b": (4,), "c": (2, 3, 4), "d": (3, 4), "e": (), "f": (1, 4)}
COUNT = len(SHAPES)
Leaves = list[Any]
"""An array for each leaf, in order."""
# Conditions have limits other than 0: that of a sum which cancels would be decided by its rounding.


def params(seed: int) -> dict[str, Any]:
    """Random arrays."""
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in SHAPES.items()}


# What is done with all leaves, one at a time

UNARY: Sequence[Callable[[Any], Any]] = (
    jnp.abs,
    jnp.sign,
    jnp.square,
    jnp.tanh,
    jnp.negative,
    lambda x: jnp.sqrt(jnp.abs(x)),
    lambda x: jnp.exp(jnp.clip(x, -2.0, 1.0)),
    lambda x: jnp.where(jnp.isfinite(x), x, 0.0),
    lambda x: x.astype(jnp.bfloat16).astype(jnp.float32),
    lambda x: x**3 / (1 + x**2),
    lambda x: x - jnp.mean(x),
    lambda x: x / (1 + jnp.linalg.norm(x)),
    lambda x: jnp.where(jnp.max(jnp.abs(x)) > 0.7, x * 0.5, x),
    lambda x: x - jnp.mean(x, axis=-1, keepdims=True) if x.ndim > 1 else x * 0.9,
    lambda x: x / (1 + jnp.max(jnp.abs(x), axis=0)) if x.ndim > 1 else x,
    lambda x: x.reshape(-1).reshape(x.shape) * 1.5,
    lambda x: x.T.T + 0.1,
    lambda x: x * x.size**-0.5,
)
BINARY: Sequence[Callable[[Any, Any], Any]] = (
    jnp.add,
    jnp.subtract,
    jnp.multiply,
    jnp.maximum,
    jnp.minimum,
    lambda x, y: x / (1 + jnp.abs(y)),
    lambda x, y: 0.9 * x + 0.1 * y,
    lambda x, y: jnp.where(x * y > 0, x, 0.0),
    lambda x, y: x * jnp.sum(x * y),
    lambda x, y: x * jnp.where(jnp.vdot(x, y) > 0.1, 1.0, 0.5),
)
SEEN_AS_OPAQUE: Sequence[Callable[[Any], Any]] = (
    lambda x: jnp.cumsum(x.reshape(-1)).reshape(x.shape),
    lambda x: jnp.sort(x.reshape(-1)).reshape(x.shape),
    lambda x: x * jnp.arange(x.size, dtype=x.dtype).reshape(x.shape),
    lambda x: jnp.flip(x.reshape(-1)).reshape(x.shape),
    lambda x: x @ x.T @ x if x.ndim == 2 else x,
    lambda x: x + jax.random.normal(jax.random.PRNGKey(3), x.shape),
    lambda x: jax.lax.fori_loop(0, 3, lambda _, y: y * 0.9, x),
)
TOTALS: Sequence[Callable[[Leaves], Any]] = (
    lambda xs: jnp.sqrt(sum(jnp.sum(jnp.square(x)) for x in xs)),
    lambda xs: sum(jnp.sum(x) for x in xs) / 7.0,
    lambda xs: sum(jnp.sum(jnp.abs(x)) for x in reversed(xs)),
    lambda xs: jnp.max(jnp.stack([jnp.max(x) for x in xs])),
    lambda xs: jnp.sum(jnp.stack([jnp.sum(x * x) for x in xs])),
    lambda xs: sum(jnp.sum(x) for x in xs[::2]),
    lambda xs: jnp.sum(xs[0]) + jnp.sum(xs[1]) + jnp.sum(xs[0]),
    lambda xs: jnp.max(xs[0]) - jnp.max(xs[3]),
    lambda xs: jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in xs])).astype(jnp.float32),
)


class RandomUpdate:
    """A random function of gradients, a moment, parameters and a count, the same at every call."""

    def __init__(self, seed: int, steps: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.plan = [(float(rng.random()), rng.integers(0, 1 << 30, 4).tolist()) for _ in range(steps)]

    def __call__(self, grads: Leaves, moment: Leaves, weights: Leaves, count: Any) -> tuple[Leaves, Leaves]:
        """The updates and the new moment."""
        trees: list[Leaves] = [grads, moment, weights]
        for kind, (op, first, second, third) in self.plan:
            x, y = (trees[-1 - n % min(4, len(trees))] for n in (first, second))
            trees.append(self._step(kind, op, third, x, y, count))
        bounded = [[jnp.clip(jnp.nan_to_num(v), -3.0, 3.0) for v in tree] for tree in trees[-2:]]
        return [-0.1 * v for v in bounded[1]], bounded[0]

    @staticmethod
    def _step(kind: float, op: int, seed: int, x: Leaves, y: Leaves, count: Any) -> Leaves:
        def chosen(table: Sequence[Any], n: int = op) -> Any:
            return table[n % len(table)]

        number = (seed % 17 - 8) / 8
        if kind < 0.3:
            return [chosen(UNARY)(v) for v in x]
        if kind < 0.55:
            return [chosen(BINARY)(v, w) for v, w in zip(x, y, strict=True)]
        if kind < 0.7:
            total = chosen(TOTALS)(x)
            return [v * number / (1 + jnp.abs(total)) for v in y]
        if kind < 0.78:
            return [v * (number + 0.1 * (i % 3)) for i, v in enumerate(x)]
        if kind < 0.84:
            return [chosen(UNARY)(v) if v.ndim > 1 else v for v in x]
        if kind < 0.9:
            return [v * (1 - 0.9 ** (count + 1).astype(jnp.float32)) for v in x]
        if kind < 0.94:
            return jax.lax.cond(jnp.sum(x[0]) > 0.1, lambda t: t, lambda t: [0.5 * v for v in t], x)
        if kind < 0.96:
            return [x[3], x[1], x[2], x[0], x[4], x[5]]
        return [chosen(SEEN_AS_OPAQUE)(v) if i % (1 + seed % 3) == 0 else v for i, v in enumerate(x)]


def transformation(seed: int) -> optax.GradientTransformation:
    """The pair of a seed."""
    run = RandomUpdate(seed)

    def init(params: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int32)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        moment, count = state
        leaves, structure = jax.tree.flatten(updates)
        changed, new = run(leaves, jax.tree.leaves(moment), jax.tree.leaves(params), count)
        return structure.unflatten(changed), (structure.unflatten(new), count + 1)

    pair: Any = optax.GradientTransformation
    return pair(init, update)


def check(seed: int) -> bool:
    """Compare three steps; whether all of it was imported. Raises AssertionError."""
    compiled = follow(transformation(seed), params(seed), lambda step: params(1000 + seed + step), steps=3, rtol=1e-3)
    return not opaque_parts(compiled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    args = parser.parse_args()
    imported, failed = 0, []
    for seed in range(args.first, args.first + args.count):
        try:
            imported += check(seed)
        except Exception as error:  # a report of all seeds that fail is worth more than the first traceback
            failed.append(seed)
            print(f"seed {seed}: {type(error).__name__}: {str(error).strip().splitlines()[:1]}", flush=True)
        if seed % 20 == 19:
            jax.clear_caches()
    print(f"{args.count} programs, {imported} imported whole, {len(failed)} failed: {failed}")


if __name__ == "__main__":
    main()
