"""A training step of a small model, written in four ways, beside Optax: times, copies and temporaries.

Run on a quiet machine:  python benchmarks/training_step.py [--repeats 9] [--output FILE]

- `jit_step`: `opt.jit_step(loss)`;
- `update`: `opt.update` and `optcc.apply_updates` in a jit of one's own;
- `crossed`: the same, with the state before the parameters in arguments and the other way in results;
- `by hand`: `opt.update`, and the updates added by `jax.tree.map`, which is no part of the sweep.

Optax is jitted and donated, in the order in which donated buffers meet their results and in the crossed one. All take
turns in one run; printed are medians of milliseconds, the medians of paired ratios of Optax's time to each, copies of
arrays in the optimized module, and temporaries. The model is a perceptron on few examples, so that the update counts.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from contenders import CHAINS

import optcc

WIDTH, LAYERS, EXAMPLES, STEPS = 512, 24, 8, 20
TIMED = ("adamw", "clip_adamw", "lamb")


def model() -> Any:
    rng = np.random.default_rng(0)

    def matrix() -> Any:
        return jnp.asarray(rng.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5, jnp.float32)

    return [{"w": matrix(), "b": jnp.zeros(WIDTH), "scale": jnp.ones(WIDTH)} for _ in range(LAYERS)]


def loss(params: Any, x: Any, y: Any) -> Any:
    for layer in params:
        x = layer["scale"] * jnp.tanh(x @ layer["w"] + layer["b"])
    return jnp.mean((x - y) ** 2)


def batch() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, EXAMPLES, WIDTH))
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


def pair(tx: Any, apply_updates: Any) -> Any:
    """A step of an `update` and what adds the updates."""

    def train(params: Any, state: Any, *batch: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, *batch)
        updates, state = tx.update(grads, state, params)
        return apply_updates(params, updates), state, value

    return train


def crossed(train: Any) -> Any:
    """The same, in the order that the arguments of `update` suggest."""

    def other(x: Any, y: Any, state: Any, params: Any) -> Any:
        params, state, value = train(params, state, x, y)
        return params, state, value

    jitted = jax.jit(other, donate_argnums=(2, 3))
    return jitted, lambda params, state, x, y: jitted(x, y, state, params)


def plain(train: Any) -> Any:
    jitted = jax.jit(train, donate_argnums=(0, 1))
    return jitted, jitted


def ways(chain: str) -> dict[str, tuple[Any, Any, Any]]:
    """For each way the jitted function, how it is called, and what makes its state."""
    opt, tx = optcc.compile(CHAINS[chain](optcc), jax.eval_shape(model)), CHAINS[chain](optax)
    step, ours, theirs = opt.jit_step(loss), pair(opt, optcc.apply_updates), pair(tx, optax.apply_updates)
    return {
        "optax": (*plain(theirs), tx.init),
        "optax, crossed": (*crossed(theirs), tx.init),
        "jit_step": (step, step, opt.init),
        "update": (*plain(ours), opt.init),
        "crossed": (*crossed(ours), opt.init),
        "by hand": (*plain(pair(opt, lambda p, u: jax.tree.map(jnp.add, p, u))), opt.init),
    }


def time_steps(call: Any, carry: Any, data: Any) -> tuple[float, Any]:
    params, state = carry
    start = time.perf_counter()
    for _ in range(STEPS):
        params, state, value = call(params, state, *data)
    jax.block_until_ready((params, state, value))
    return (time.perf_counter() - start) / STEPS * 1e3, (params, state)


def measure(chain: str, repeats: int) -> dict[str, dict[str, float]]:
    data, made = batch(), ways(chain)
    carries = {name: (params := model(), init(params)) for name, (_, _, init) in made.items()}
    rows: dict[str, dict[str, float]] = {}
    for name, (jitted, call, _) in made.items():
        params, state = carries[name]
        arguments = (*data, state, params) if "crossed" in name else (params, state, *data)
        executable = jitted.lower(*arguments).compile()
        text = executable.as_text().partition("\nENTRY")[2]
        rows[name] = {
            "copies": len(re.findall(r"= f32\[\d+[\d,]*\]\S* copy\(", text)),
            "temporaries MB": executable.memory_analysis().temp_size_in_bytes / 1e6,
        }
        _, carries[name] = time_steps(call, carries[name], data)
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(repeats):
        for name, (_, call, _) in made.items():
            elapsed, carries[name] = time_steps(call, carries[name], data)
            times[name].append(elapsed)
    for name, row in rows.items():
        row["ms"] = statistics.median(times[name])
        row["optax / this"] = statistics.median(a / b for a, b in zip(times["optax"], times[name], strict=True))
    return rows


def main() -> None:
    """Print a row for each chain and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--chains", default=",".join(TIMED))
    parser.add_argument("--output", help="a JSON file to write")
    args = parser.parse_args()
    found = {}
    for chain in args.chains.split(","):
        found[chain] = measure(chain, args.repeats)
        for name, row in found[chain].items():
            figures = ", ".join(f"{what} {value:.2f}" for what, value in row.items())
            print(f"{chain:11} {name:15} {figures}", flush=True)
    if args.output:
        with open(args.output, "w") as file:
            json.dump({"jax": jax.__version__, "rows": found}, file, indent=1)


if __name__ == "__main__":
    main()
