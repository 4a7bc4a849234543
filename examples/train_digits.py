"""Train a small network on scikit-learn's handwritten digits with one chain under Optax and under optcc.

Prints both loss curves and their largest difference, and saves a plot of them. With `--layout packed` optcc keeps
parameters and state in a few arrays, and the loss unpacks what it needs. Run: python examples/train_digits.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import optcc

BATCH = 128


def make_chain(lib: Any, steps: int) -> Any:
    """Clip, AdamW without decay of the biases, warm-up and cosine: the same call under both libraries."""
    schedule = lib.warmup_cosine_decay_schedule(0.0, 3e-3, steps // 10, steps, 1e-5)
    decay = lib.adamw(schedule, weight_decay=1e-2, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p))
    return lib.chain(lib.clip_by_global_norm(1.0), decay)


def init_params(sizes: tuple[int, ...], seed: int = 0) -> Any:
    """Weights and biases of a multi-layer perceptron."""
    rng = np.random.default_rng(seed)
    return [
        {"w": jnp.asarray(rng.normal(size=(a, b)) / np.sqrt(a), jnp.float32), "b": jnp.zeros(b)}
        for a, b in pairwise(sizes)
    ]


def loss_fn(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross entropy."""
    x = images
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    logits = x @ params[-1]["w"] + params[-1]["b"]
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1))


def train(step: Callable[..., Any], state: Any, params: Any, steps: int, unpack: Callable[..., Any]) -> np.ndarray:
    """The loss of each step; `step(grads, state, params)` returns new parameters and state.

    `unpack` gives the layers; the gradients are those of what it is given.
    """
    digits = load_digits()
    images = jnp.asarray(digits.data / 16.0, jnp.float32)
    labels = jnp.asarray(digits.target)
    order = np.random.default_rng(1).integers(0, len(labels), (steps, BATCH))
    value_and_grad = jax.jit(jax.value_and_grad(lambda p, x, y: loss_fn(unpack(p), x, y)))
    losses: list[float] = []
    for batch in order:
        loss, grads = value_and_grad(params, images[batch], labels[batch])
        params, state = step(grads, state, params)
        losses.append(float(loss))
    return np.array(losses)


def optax_step(tx: Any) -> Callable[..., Any]:
    """Update and apply, jitted and donated."""

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(step, donate_argnums=(0, 1))
    return lambda grads, state, params: jitted(params, state, grads)


def plot(curves: dict[str, np.ndarray], path: str) -> None:
    """Save the loss curves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4))
    for style, (name, losses) in zip(("-", "--"), curves.items(), strict=True):
        axes.plot(losses, style, label=name)
    axes.set(xlabel="step", ylabel="cross entropy", yscale="log", title="digits, clip + AdamW, warm-up and cosine")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def run(steps: int, layout: str) -> dict[str, np.ndarray]:
    """The losses under both libraries, from the same parameters, on the same batches."""
    sizes = (64, 128, 64, 10)
    theirs = make_chain(optax, steps)
    compiled = optcc.compile(make_chain(optcc, steps), init_params(sizes), layout=layout)
    params, unpack = init_params(sizes), lambda p: p
    if layout == "packed":
        params, unpack = compiled.pack(params), compiled.unpack
    return {
        "Optax": train(optax_step(theirs), theirs.init(init_params(sizes)), init_params(sizes), steps, lambda p: p),
        "optcc": train(compiled.step, compiled.init(init_params(sizes)), params, steps, unpack),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--layout", choices=("tree", "packed"), default="tree")
    parser.add_argument("--plot", default="train_digits.png", help="where the plot goes; '' for none")
    args = parser.parse_args()

    losses = run(args.steps, args.layout)
    print(f"{'step':>6} {'Optax':>10} {'optcc':>10}")
    for i in sorted({*range(0, args.steps, max(1, args.steps // 10)), args.steps - 1}):
        print(f"{i:>6} {losses['Optax'][i]:>10.6f} {losses['optcc'][i]:>10.6f}")
    print(f"largest difference: {np.max(np.abs(losses['Optax'] - losses['optcc'])):.2e}")
    if args.plot:
        plot(losses, args.plot)
        print(f"plot: {args.plot}")


if __name__ == "__main__":
    main()
