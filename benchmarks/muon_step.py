"""Muon beside jitted, donated Optax: many small matrices, large ones of one shape, long ones; and what compiling takes.

Run on a quiet machine:  python benchmarks/muon_step.py [--sets small,large,long] [--repeats 7] [--output FILE]

The contenders take turns; printed are medians of milliseconds a step, and the medians of the pairwise ratios of the
other times to ours. `gram` is ours with `gram_from=2`. `compile s` are the seconds from trace to executable, ours and
Optax's, of 15 and of 150 matrices of few shapes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import optax
from contenders import Jax, arrays_like, compiled_step

import optcc


def matrices(*shapes: tuple[int, int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """So many matrices of each shape, and a vector for Adam."""
    found = {
        f"w{i}_{j}": jax.ShapeDtypeStruct(shape, jnp.float32)
        for i, (count, *shape) in enumerate(shapes)
        for j in range(count)
    }
    return found | {"bias": jax.ShapeDtypeStruct((64,), jnp.float32)}


SETS = {
    "small": matrices((42, 64, 64), (42, 64, 128), (42, 32, 96)),
    "large": matrices((4, 1024, 1024)),
    "long": matrices((8, 256, 1024)),
}
FEW = 3
"""How many shapes the matrices have whose compilation is timed."""


def optax_step() -> Any:
    """Optax's step, jitted and donated."""
    tx = optax.contrib.muon(1e-3)

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def optax_arrays(shapes: Any) -> tuple[Any, Any, Any]:
    """Parameters, state and gradients for it."""
    params = arrays_like(shapes, 0)
    return params, optax.contrib.muon(1e-3).init(params), arrays_like(shapes, 1)


def contenders_of(shapes: Any) -> dict[str, Jax]:
    """Whose steps are timed."""
    return {
        "optcc": compiled_step(optcc.contrib.muon(1e-3), shapes),
        "gram": compiled_step(optcc.contrib.muon(1e-3, gram_from=2.0), shapes),
        "optax": Jax(lambda: (optax_step(), *optax_arrays(shapes))),
    }


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Time one set, all contenders in turn."""
    contenders = contenders_of(SETS[name])
    times: dict[str, list[float]] = {label: [] for label in contenders}
    for i in range(repeats + 1):
        for label in [*contenders] if i % 2 else [*contenders][::-1]:
            contenders[label].time_steps(1)
            times[label].append(contenders[label].time_steps(1))
    return {
        "set": name,
        "milliseconds": {label: 1e3 * statistics.median(x[1:]) for label, x in times.items()},
        "ratios": {
            label: statistics.median(b / a for a, b in zip(times["optcc"][1:], x[1:], strict=True))
            for label, x in times.items()
        },
    }


def seconds_to_compile(count: int) -> dict[str, float]:
    """From trace to executable, for so many matrices."""
    shapes = matrices(*((count // FEW, 32, 32 * (i + 1)) for i in range(FEW)))
    start = time.perf_counter()
    _ = optcc.compile(optcc.contrib.muon(1e-3), shapes).executable
    ours = time.perf_counter() - start
    start = time.perf_counter()
    optax_step().lower(shapes, jax.eval_shape(optax.contrib.muon(1e-3).init, shapes), shapes).compile()
    return {"optcc": ours, "optax": time.perf_counter() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="small,large,long")
    parser.add_argument("--counts", default="15,150", help="how many matrices to compile for")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", help="a JSON file for the rows")
    args = parser.parse_args()

    optcc.compile(optcc.contrib.muon(1e-3), matrices((1, 2, 2))).ir("sweeps")  # imports
    print("set     optcc ms  gram / it  optax / it")
    rows: list[Any] = []
    for name in filter(None, args.sets.split(",")):
        rows.append(row := measure(name, args.repeats))
        ratios = row["ratios"]
        print(
            f"{name:6} {row['milliseconds']['optcc']:9.2f} {ratios['gram']:10.2f} {ratios['optax']:11.2f}", flush=True
        )
    print("matrices  compile s: optcc  optax")
    for count in map(int, filter(None, args.counts.split(","))):
        rows.append({"compile": count} | (seconds := seconds_to_compile(count)))
        print(f"{count:8} {seconds['optcc']:17.2f} {seconds['optax']:6.2f}", flush=True)
    if args.output:
        with open(args.output, "w") as file:
            json.dump({"jax": jax.__version__, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
