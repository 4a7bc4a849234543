"""Chains of Optax, compiled as they are, beside the same chains of optcc and jitted, donated Optax.

Run on a quiet machine:  python benchmarks/import_step.py [--trees gpt2] [--chains adamw,lamb] [--repeats 11]
                         [--output FILE]

The contenders take turns; printed are medians of milliseconds a step, and the medians of the pairwise ratios of the
other times to that of the imported chain. `trace` are the seconds that `jax.make_jaxpr` takes for Optax's update,
`import` what `optcc.compile` takes to build the module from it, that trace and all passes included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import optax
from contenders import CHAINS, arrays_like, compiled_step, theirs
from update_step import TREES

import optcc
from optcc.report.cost import cost_of


@dataclass
class Row:
    """One chain on one tree, by contender."""

    tree: str
    chain: str
    sweeps: int = 0
    trace: float = 0.0
    imported: float = 0.0
    milliseconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)


def seconds_of(function: Callable[[], Any]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(tree: str, chain: str, repeats: int) -> Row:
    """Time one chain on one tree, all contenders in turn."""
    row, shapes = Row(tree, chain), TREES[tree].shapes()
    tx = CHAINS[chain](optax)
    state = jax.eval_shape(tx.init, shapes)
    row.trace = seconds_of(lambda: jax.make_jaxpr(tx.update)(shapes, state, shapes))
    compiled = optcc.compile(CHAINS[chain](optax), shapes)
    row.imported = seconds_of(lambda: compiled.staged)
    row.sweeps = len(cost_of(compiled.staged.program.step.op).sweeps)
    contenders = {
        "imported": compiled_step(CHAINS[chain](optax), shapes),
        "optcc": compiled_step(CHAINS[chain](optcc), shapes),
        "optax": theirs(chain, shapes, 0)[0],
    }
    times: dict[str, list[float]] = {label: [] for label in contenders}
    for i in range(repeats + 2):
        for label in [*contenders] if i % 2 else [*contenders][::-1]:
            contenders[label].time_steps(TREES[tree].untimed)
            times[label].append(contenders[label].time_steps(1))
    for label, seconds in times.items():
        row.milliseconds[label] = 1e3 * statistics.median(seconds[2:])
        row.ratios[label] = statistics.median(b / a for a, b in zip(times["imported"][2:], seconds[2:], strict=True))
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", default="gpt2")
    parser.add_argument("--chains", default="adamw,clip_adamw,lamb,lion")
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--output", help="a JSON file for the rows")
    args = parser.parse_args()

    optcc.compile(optax.sgd(0.1), arrays_like({"w": jax.ShapeDtypeStruct((1,), "float32")}, 0)).ir("sweeps")  # imports
    print("tree  chain       sweeps trace s import s  imported ms  optcc / it  optax / it")
    rows: list[Row] = []
    for tree in args.trees.split(","):
        for chain in args.chains.split(","):
            rows.append(row := measure(tree, chain, args.repeats))
            print(
                f"{row.tree:5} {row.chain:11} {row.sweeps:6} {row.trace:7.2f} {row.imported:8.2f} "
                f"{row.milliseconds['imported']:12.1f} {row.ratios['optcc']:11.3f} {row.ratios['optax']:11.2f}",
                flush=True,
            )
            if args.output:
                with open(args.output, "w") as file:
                    json.dump({"jax": jax.__version__, "rows": [asdict(r) for r in rows]}, file, indent=1)


if __name__ == "__main__":
    main()
