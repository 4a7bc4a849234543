"""Train an ensemble of small networks on scikit-learn's handwritten digits, all in one pytree of many small leaves.

200 networks of five layers and a temperature are 2,200 leaves. Prints the accuracy of the ensemble, and the times of
optimizer steps under optcc, packed, and under Optax. Run: python examples/train_ensemble.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import optcc

SIZES = (64, 8, 8, 8, 8, 10)
BATCH = 64


def init_params(networks: int, seed: int = 0) -> list[Any]:
    """The networks of the ensemble, each with weights, biases and a temperature of its own."""
    rng = np.random.default_rng(seed)

    def layer(a: int, b: int) -> dict[str, jax.Array]:
        return {"w": jnp.asarray(rng.normal(size=(a, b)) * np.sqrt(2 / a), jnp.float32), "b": jnp.zeros(b)}

    return [{"layers": [layer(*s) for s in pairwise(SIZES)], "temperature": jnp.ones(())} for _ in range(networks)]


def logits_of(networks: list[Any], images: jax.Array) -> jax.Array:
    """The logits of every network: the same layer of all of them at a time."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    x = jnp.broadcast_to(images, (len(networks), *images.shape))
    for i, layer in enumerate(stacked["layers"]):
        x = jnp.einsum("nbi,nio->nbo", x if i == 0 else jax.nn.relu(x), layer["w"]) + layer["b"][:, None]
    return x / stacked["temperature"][:, None, None]


def loss_fn(networks: list[Any], images: jax.Array, labels: jax.Array) -> jax.Array:
    """The sum over the networks of the mean cross entropy, so that each learns as if it were alone."""
    log_probabilities = jax.nn.log_softmax(logits_of(networks, images))
    return -jnp.sum(jnp.mean(log_probabilities[:, jnp.arange(len(labels)), labels], axis=1))


def timed(step: Callable[..., Any], grads: Any, state: Any, params: Any, repeats: int) -> float:
    """The median seconds of a step; what it is given is used up."""
    seconds: list[float] = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        params, state = jax.block_until_ready(step(grads, state, params))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def optax_step(tx: Any) -> Callable[..., Any]:
    """Update and apply, jitted and donated."""

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(step, donate_argnums=(0, 1))
    return lambda grads, state, params: jitted(params, state, grads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=20, help="timed steps")
    args = parser.parse_args()

    digits = load_digits()
    images, labels = jnp.asarray(digits.data / 16.0, jnp.float32), jnp.asarray(digits.target)
    networks = init_params(args.networks)
    opt = optcc.compile(optcc.adamw(3e-3), networks, layout="packed")
    params, state = opt.pack(networks), opt.init(networks)
    value_and_grad = jax.jit(jax.value_and_grad(lambda p, x, y: loss_fn(opt.unpack(p), x, y)))
    order = np.random.default_rng(1).integers(0, len(labels) // 2, (args.steps, BATCH))
    print(f"{args.networks} networks, {len(jax.tree.leaves(networks)):,} leaves")
    for i, batch in enumerate(order):
        loss, grads = value_and_grad(params, images[batch], labels[batch])
        params, state = opt.step(grads, state, params)
        if i % max(1, args.steps // 5) == 0 or i == args.steps - 1:
            print(f"step {i:4}: loss of a network {float(loss) / args.networks:.4f}")
    half = len(labels) // 2
    votes = jax.nn.softmax(logits_of(opt.unpack(params), images[half:])).mean(axis=0)
    print(f"accuracy of the ensemble on the other half: {float(jnp.mean(votes.argmax(axis=1) == labels[half:])):.3f}")

    ours = timed(opt.step, opt.pack(networks), opt.init(networks), opt.pack(networks), args.repeats)
    tx = optax.adamw(3e-3)
    theirs = timed(optax_step(tx), networks, tx.init(networks), jax.tree.map(jnp.copy, networks), args.repeats)
    print(f"optimizer step: optcc, packed {1e3 * ours:.3f} ms, Optax {1e3 * theirs:.3f} ms, ratio {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
