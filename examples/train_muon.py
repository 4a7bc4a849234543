"""A small transformer on text, trained with Muon: matrices are orthogonalized, embeddings and vectors are Adam's.

    python examples/train_muon.py [--steps 60]

The text is the standard library's own documentation. Which leaf is whose is in the labels, and in the report.
"""

from __future__ import annotations

import argparse
import inspect
import json.decoder
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import optcc

WIDTH, HEADS, LAYERS, LENGTH, BATCH = 64, 4, 2, 64, 8


def make_params(key: jax.Array) -> dict[str, Any]:
    """Byte embeddings, blocks of attention and two-layer perceptrons, and a head."""
    keys = iter(jax.random.split(key, 2 + 4 * LAYERS))

    def matrix(rows: int, columns: int) -> jax.Array:
        return jax.random.normal(next(keys), (rows, columns)) / np.sqrt(rows)

    blocks = [
        {
            "qkv": matrix(WIDTH, 3 * WIDTH),
            "out": matrix(WIDTH, WIDTH),
            "up": matrix(WIDTH, 4 * WIDTH),
            "down": matrix(4 * WIDTH, WIDTH),
            "norm": jnp.ones((2, WIDTH)),
        }
        for _ in range(LAYERS)
    ]
    return {"embed": matrix(256, WIDTH), "blocks": blocks, "head": matrix(WIDTH, 256)}


def normalized(x: jax.Array, scale: jax.Array) -> jax.Array:
    return scale * x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + 1e-6)


def loss(params: dict[str, Any], tokens: jax.Array) -> jax.Array:
    """The cross entropy of the next byte."""
    x = params["embed"][tokens[:, :-1]]
    length = x.shape[1]
    mask = jnp.tril(jnp.ones((length, length), bool))
    for block in params["blocks"]:
        q, k, v = jnp.split(normalized(x, block["norm"][0]) @ block["qkv"], 3, axis=-1)
        q, k, v = (t.reshape(*t.shape[:2], HEADS, -1) for t in (q, k, v))
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(WIDTH // HEADS)
        weights = jax.nn.softmax(jnp.where(mask, scores, -1e9))
        x = x + jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape) @ block["out"]
        x = x + jax.nn.gelu(normalized(x, block["norm"][1]) @ block["up"]) @ block["down"]
    logits = x @ params["head"]
    return optcc.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:]).mean()


def matrices(params: Any) -> Any:
    """Muon for the matrices inside the blocks; None, which is Adam, for embeddings, head and scales of norms."""
    numbers = optcc.contrib.MuonDimensionNumbers()

    def choose(path: Any, leaf: Any) -> Any:
        name = jax.tree_util.keystr(path)
        return numbers if "blocks" in name and "norm" not in name else None

    return jax.tree_util.tree_map_with_path(choose, params)


def run(steps: int) -> list[float]:
    """Train for some steps; the loss of each."""
    text = "".join(map(inspect.getsource, (argparse, inspect, json.decoder)))
    data = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    random = np.random.default_rng(0)
    params = make_params(jax.random.key(0))
    tx = optcc.contrib.muon(0.01, adam_learning_rate=3e-3, muon_weight_dimension_numbers=matrices, consistent_rms=0.2)
    opt = optcc.compile(tx, params)
    for slot in opt.report().arrays:
        if slot.name.endswith("mu"):
            print(f"{slot.name}: {slot.leaves} leaves, {slot.elements:,} elements")
    state, train, losses = opt.init(params), opt.jit_step(loss), []
    for step in range(steps):
        starts = random.integers(0, len(data) - LENGTH - 1, BATCH)
        tokens = jnp.asarray(np.stack([data[i : i + LENGTH + 1] for i in starts]))
        params, state, value = train(params, state, tokens)
        losses.append(float(value))
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:3}: loss {losses[-1]:.3f}")
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    start = time.perf_counter()
    run(args.steps)
    print(f"{args.steps} steps in {time.perf_counter() - start:.1f} s, compiling included")


if __name__ == "__main__":
    main()
