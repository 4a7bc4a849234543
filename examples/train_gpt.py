"""A GPT-style model on English prose, with the optimizer of a real run.

    python examples/train_gpt.py [--steps 200]

Clipping, warmup and cosine, AdamW without decay for embeddings, norms and head, a rate of its own for the embeddings,
and gradients gathered over two steps. The text is the language reference that every Python has; a tenth is held out.
"""

from __future__ import annotations

import argparse
import time
from pydoc_data.topics import topics
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from train_muon import BATCH, LENGTH, loss, make_params

import optcc

GATHERED = 2
"""Steps whose gradients are one update."""


def decays(params: Any) -> Any:
    """True for the matrices inside the blocks."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: "blocks" in str(path) and leaf.shape[0] > 2, params)


def labels(params: Any) -> Any:
    """The group of each leaf: its learning rate."""
    return {
        name: jax.tree.map(lambda _, name=name: "embed" if name == "embed" else "rest", p) for name, p in params.items()
    }


def optimizer(updates: int) -> Any:
    """The chain; `updates` is how many there are in all."""
    rates = {
        name: optcc.warmup_cosine_decay_schedule(0.0, peak, max(1, updates // 10), updates, peak / 10)
        for name, peak in (("embed", 1e-2), ("rest", 3e-3))
    }
    groups = {name: optcc.adamw(rate, b2=0.99, weight_decay=0.1, mask=decays) for name, rate in rates.items()}
    tx = optcc.chain(optcc.clip_by_global_norm(1.0), optcc.partition(groups, labels))
    return optcc.MultiSteps(tx, GATHERED).gradient_transformation()


def batches(data: np.ndarray, seed: int) -> Any:
    """Endless batches of bytes at random places."""
    random = np.random.default_rng(seed)
    while True:
        starts = random.integers(0, len(data) - LENGTH - 1, BATCH)
        yield jnp.asarray(np.stack([data[i : i + LENGTH + 1] for i in starts]))


def run(steps: int) -> tuple[list[float], float]:
    """Train for some steps; the loss of each, and the loss on the part that was held out."""
    data = np.frombuffer("".join(topics.values()).encode(), np.uint8).astype(np.int32)
    cut = len(data) * 9 // 10
    params = make_params(jax.random.key(0))
    opt = optcc.compile(optimizer(steps // GATHERED), params)
    report = opt.report(xla=False)
    print(f"{report.parameters:,} parameters, {len(report.sweeps)} sweeps, leaf sets that are treated alike:")
    for group in report.groups:
        print(f"  {group.name}: {group.leaves} leaves")
    state, train, losses = opt.init(params), opt.jit_step(loss), []
    for step, tokens in zip(range(steps), batches(data[:cut], 0), strict=False):
        params, state, value = train(params, state, tokens)
        losses.append(float(value))
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:3}: loss {losses[-1]:.3f}")
    held_out = [float(loss(params, tokens)) for _, tokens in zip(range(4), batches(data[cut:], 1), strict=False)]
    return losses, float(np.mean(held_out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    start = time.perf_counter()
    _, held_out = run(args.steps)
    print(
        f"held out: loss {held_out:.3f}; {args.steps} steps in {time.perf_counter() - start:.1f} s, compiling included"
    )


if __name__ == "__main__":
    main()
