"""A step on parameters that are sharded over eight simulated devices (FSDP), beside jitted, donated Optax.

Run on a quiet machine:  python benchmarks/sharded_step.py [--megabytes 16] [--repeats 9] [--output FILE]

The devices are threads of this CPU. The contenders take turns in one run; printed are medians of milliseconds a step,
the median of the paired ratios of Optax's time to ours, collectives in the optimized module, and the bytes that one
device holds: arguments, results that are no arguments, and temporaries.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

DEVICES = 8
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402 (JAX reads the flags when it is imported)
import jax.numpy as jnp  # noqa: E402
import optax  # noqa: E402
from contenders import CHAINS  # noqa: E402
from jax.sharding import Mesh, NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import optcc  # noqa: E402
from optcc.report.hlo import collectives  # noqa: E402

TIMED = ("adamw", "clip_adamw", "lamb")
STEPS = 10


def parameters(megabytes: int, seed: int) -> dict[str, Any]:
    """Matrices of 1,024 columns, each split along its rows."""
    mesh = Mesh(jax.devices(), ("data",))
    home = NamedSharding(mesh, P("data"))
    rows, keys = 1024, jax.random.split(jax.random.key(seed), megabytes // 4)
    return {f"w{i}": jax.device_put(jax.random.normal(k, (rows, 1024)) / 32, home) for i, k in enumerate(keys)}


def held(executable: Any) -> int:
    """Bytes on one device."""
    stats = executable.memory_analysis()
    fresh = stats.output_size_in_bytes - stats.alias_size_in_bytes
    return stats.argument_size_in_bytes + fresh + stats.temp_size_in_bytes


def contenders(chain: str, megabytes: int) -> dict[str, tuple[Any, Any, Any, Any]]:
    """For each how a step is called, its parameters and state, and its executable."""
    params, grads = parameters(megabytes, 0), parameters(megabytes, 1)
    opt, tx = optcc.compile(CHAINS[chain](optcc), params), CHAINS[chain](optax)

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted, state = jax.jit(step, donate_argnums=(0, 1)), jax.jit(tx.init)(params)
    theirs = jitted.lower(params, state, grads).compile()
    other = jax.tree.map(jnp.copy, params)
    return {
        "optcc": (lambda p, s: opt.step(grads, s, p), params, opt.init(params), opt.executable),
        "optax": (lambda p, s: jitted(p, s, grads), other, state, theirs),
    }


def time_steps(step: Any, params: Any, state: Any) -> tuple[float, Any, Any]:
    start = time.perf_counter()
    for _ in range(STEPS):
        params, state = step(params, state)
    jax.block_until_ready((params, state))
    return (time.perf_counter() - start) / STEPS * 1e3, params, state


def measure(chain: str, megabytes: int, repeats: int) -> dict[str, dict[str, Any]]:
    made = contenders(chain, megabytes)
    carried = {name: (params, state) for name, (_, params, state, _) in made.items()}
    times: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(repeats + 1):
        for name, (step, *_) in made.items():
            elapsed, *carry = time_steps(step, *carried[name])
            carried[name] = tuple(carry)
            times[name] += [elapsed] if turn else []
    ratio = statistics.median(a / b for a, b in zip(times["optax"], times["optcc"], strict=True))
    return {
        name: {
            "ms": statistics.median(times[name]),
            "optax / optcc": ratio,
            "collectives": dict(collectives(executable.as_text())),
            "device MB": held(executable) / 1e6,
        }
        for name, (*_, executable) in made.items()
    }


def main() -> None:
    """Print a row for each chain and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", help="a JSON file to write")
    args = parser.parse_args()
    found: dict[str, Any] = {}
    for chain in TIMED:
        found[chain] = measure(chain, args.megabytes, args.repeats)
        for name, row in found[chain].items():
            print(f"{chain:11} {name:6} {row}", flush=True)
    if args.output:
        with open(args.output, "w") as file:
            json.dump({"jax": jax.__version__, "megabytes": args.megabytes, "rows": found}, file, indent=1)


if __name__ == "__main__":
    main()
