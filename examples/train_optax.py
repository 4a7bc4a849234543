"""An Optax training script, and the one line that makes its optimizer faster: `python examples/train_optax.py`.

The chain is Optax's. `optcc.compile` imports it, so that a step is two sweeps over memory in place. Prints the time of
an optimizer step before and after, and the final losses, which agree.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

import optcc

Params = dict[str, jax.Array]


def make_params(width: int) -> Params:
    keys = jax.random.split(jax.random.key(0), 3)
    shapes = {"in": (64, width), "hidden": (width, width), "out": (width, 10)}
    return {name: jax.random.normal(k, s) * s[0] ** -0.5 for k, (name, s) in zip(keys, shapes.items(), strict=True)}


def loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    hidden = jax.nn.relu(jax.nn.relu(x @ params["in"]) @ params["hidden"])
    return optax.softmax_cross_entropy_with_integer_labels(hidden @ params["out"], y).mean()


def train(step: Callable[..., Any], state: Any, params: Params, steps: int) -> tuple[float, float]:
    """The last loss, and the seconds of one optimizer step."""
    value_and_grad = jax.jit(jax.value_and_grad(loss))
    x = jax.random.normal(jax.random.key(1), (128, 64))
    y = jnp.argmax(x[:, :10], axis=1)
    value, seconds = jnp.zeros(()), 0.0
    for i in range(steps):
        value, grads = jax.block_until_ready(value_and_grad(params, x, y))
        start = time.perf_counter()
        params, state = jax.block_until_ready(step(grads, state, params))
        seconds += (time.perf_counter() - start) * (i >= steps // 2)
    return float(value), seconds / (steps - steps // 2)


def run(width: int, steps: int) -> tuple[float, float]:
    """The final losses with Optax and with what was compiled from it."""
    tx: Any = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3))

    @partial(jax.jit, donate_argnums=(1, 2))
    def step(grads: Params, state: Any, params: Params) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params = make_params(width)
    before, seconds = train(step, tx.init(params), params, steps)
    print(f"optax: loss {before:.4f}, {1e3 * seconds:.2f} ms an optimizer step")

    params = make_params(width)
    opt = optcc.compile(tx, params)  # the one line
    after, seconds = train(opt.step, opt.init(params), params, steps)
    print(f"optcc: loss {after:.4f}, {1e3 * seconds:.2f} ms an optimizer step")
    return before, after


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    run(args.width, args.steps)


if __name__ == "__main__":
    main()
