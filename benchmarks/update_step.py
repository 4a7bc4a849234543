"""One step of each optimizer: optcc beside jitted, donated Optax and the memory limit, alternating in one run.

Run on a quiet machine:  python benchmarks/update_step.py [--trees gpt2,small] [--chains adamw,lamb] [--repeats 15]

Each step updates and applies in place, on the same arrays. The time of a step is taken from the call until all results
are there. Repeats alternate between the contenders, so that a drift of the machine meets them alike; medians and the
median of the pairwise ratios are printed, and written as JSON with --output. The memory limit is the bytes that the
sweeps of the chain must move (see `optcc report`) at the bandwidth of a triad over arrays of 128 MB, measured by the
same run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import optcc
from optcc.params import load_params
from optcc.report import cost_of
from optcc.runtime.stages import function_of

CHAINS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda lib: lib.sgd(1e-3),
    "momentum": lambda lib: lib.sgd(1e-3, 0.9),
    "adam": lambda lib: lib.adam(1e-3),
    "adamw": lambda lib: lib.adamw(3e-4),
    "lion": lambda lib: lib.lion(1e-4),
    "clip_adamw": lambda lib: lib.chain(lib.clip_by_global_norm(1.0), lib.adamw(3e-4)),
    "lamb": lambda lib: lib.lamb(1e-3),
}
TREES: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: load_params("gpt2"),
    "small": lambda: {f"layer{i}": jax.ShapeDtypeStruct((100,), jnp.float32) for i in range(1000)},
}
"""GPT-2 small, 148 leaves of 124 million parameters in all; and 1,000 leaves of 100."""


@dataclass(frozen=True)
class Row:
    """Medians of one chain on one tree. Times in milliseconds, bytes as XLA's memory analysis gives them."""

    tree: str
    chain: str
    optcc_ms: float
    optax_ms: float
    ratio: float
    ratio_low: float
    ratio_high: float
    limit_ms: float
    sweeps: int
    optcc_temporaries: int
    optax_temporaries: int
    optcc_compile_s: float
    optax_compile_s: float


def arrays_like(shapes: Any, seed: int) -> Any:
    """Random arrays in the shapes of a tree."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: jnp.asarray(rng.standard_normal(s.shape, np.float32), s.dtype), shapes)


def bandwidth() -> float:
    """Bytes a second of `a = b + s * c` in place over 128 MB arrays, two reads and a write."""
    n = 1 << 25
    a, b = jnp.ones(n), jnp.ones(n)
    triad = jax.jit(lambda x, y: x + 0.5 * y, donate_argnums=0)
    times: list[float] = []
    for _ in range(12):
        start = time.perf_counter()
        a = jax.block_until_ready(triad(a, b))
        times.append(time.perf_counter() - start)
    return 3 * 4 * n / statistics.median(times[2:])


def optax_step(tx: Any) -> Any:
    """Optax's step in the order of arguments in which each donated buffer meets its own result."""

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return jax.jit(step, donate_argnums=(0, 1))


def measure(tree: str, chain: str, repeats: int, bytes_a_second: float) -> Row:
    """Time one chain on one tree, the two contenders in turn."""
    shapes = TREES[tree]()
    grads = arrays_like(shapes, 1)
    ours, theirs = CHAINS[chain](optcc), CHAINS[chain](optax)

    start = time.perf_counter()
    compiled = optcc.compile(ours, shapes)
    ours_executable = compiled.executable
    ours_compile = time.perf_counter() - start
    step = optax_step(theirs)
    start = time.perf_counter()
    theirs_executable = step.lower(shapes, jax.eval_shape(theirs.init, shapes), shapes).compile()
    theirs_compile = time.perf_counter() - start

    params, state = arrays_like(shapes, 0), compiled.init(arrays_like(shapes, 0))
    their_params = arrays_like(shapes, 0)
    their_state = theirs.init(their_params)
    times: list[tuple[float, float]] = []
    for _ in range(repeats + 3):
        t0 = time.perf_counter()
        params, state = jax.block_until_ready(compiled.step(grads, state, params))
        t1 = time.perf_counter()
        their_params, their_state = jax.block_until_ready(step(their_params, their_state, grads))
        times.append((t1 - t0, time.perf_counter() - t1))
    times = times[3:]
    ratios = sorted(b / a for a, b in times)
    cost = cost_of(function_of(compiled.staged.program))
    return Row(
        tree=tree,
        chain=chain,
        optcc_ms=1e3 * statistics.median(a for a, _ in times),
        optax_ms=1e3 * statistics.median(b for _, b in times),
        ratio=statistics.median(ratios),
        ratio_low=ratios[len(ratios) // 4],
        ratio_high=ratios[-1 - len(ratios) // 4],
        limit_ms=1e3 * cost.bytes / bytes_a_second,
        sweeps=len(cost.sweeps),
        optcc_temporaries=ours_executable.memory_analysis().temp_size_in_bytes,
        optax_temporaries=theirs_executable.memory_analysis().temp_size_in_bytes,
        optcc_compile_s=ours_compile,
        optax_compile_s=theirs_compile,
    )


def show(row: Row) -> str:
    return (
        f"{row.tree:6} {row.chain:11} {row.optcc_ms:9.2f} {row.optax_ms:9.2f} {row.ratio:6.2f} "
        f"[{row.ratio_low:.2f}, {row.ratio_high:.2f}] {row.limit_ms:9.2f} {row.sweeps:6} "
        f"{row.optcc_temporaries / 1e6:10.1f} {row.optax_temporaries / 1e6:10.1f} "
        f"{row.optcc_compile_s:8.2f} {row.optax_compile_s:8.2f}"
    )


HEADER = (
    f"{'tree':6} {'chain':11} {'optcc ms':>9} {'optax ms':>9} {'ratio':>6} {'[quartiles]':12} {'limit ms':>9} "
    f"{'sweeps':>6} {'temp MB':>10} {'optax MB':>10} {'comp. s':>8} {'optax s':>8}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", default=",".join(TREES))
    parser.add_argument("--chains", default=",".join(CHAINS))
    parser.add_argument("--repeats", type=int, default=15, help="on gpt2; ten times as many on small trees")
    parser.add_argument("--output", help="a JSON file for the rows")
    args = parser.parse_args()

    speed = bandwidth()
    print(f"jax {jax.__version__}, {jax.default_backend()}, {platform.processor() or platform.machine()}")
    print(f"bandwidth {speed / 1e9:.1f} GB/s; ratio is Optax's time over optcc's\n{HEADER}")
    rows: list[Row] = []
    for tree in args.trees.split(","):
        for chain in args.chains.split(","):
            repeats = args.repeats * (10 if tree == "small" else 1)
            rows.append(measure(tree, chain, repeats, speed))
            print(show(rows[-1]), flush=True)
    if args.output:
        with open(args.output, "w") as file:
            json.dump({"jax": jax.__version__, "bandwidth": speed, "rows": [asdict(r) for r in rows]}, file, indent=1)


if __name__ == "__main__":
    main()
