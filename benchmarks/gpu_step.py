"""One step of each optimizer on an accelerator: optcc beside jitted, donated Optax, PyTorch's optimizers and a copy.

Run on a quiet machine with a GPU:  python benchmarks/gpu_step.py --output FILE [--trees gpt2,small,leaf1b]
                                    [--chains adamw,lamb] [--layouts tree,all,tiled] [--seconds 480] [--no-torch]

A turn is a number of steps that are queued one after the other, with one wait at the end: that is how a training loop
runs them. In the columns `loop` the steps of a turn are one call, a `fori_loop` inside `jit`, which is free of the
dispatch of each step. The contenders take turns; printed are medians. On trees that do not fit several times, each
contender has the device for itself, one after the other.
`of copy` is the share of the measured bandwidth of a copy that a step reaches by the bytes it must move, each array of
parameters, gradients and state touched once (and twice where a norm is needed first).
PyTorch runs in a process of its own, by the same Python: `foreach`, and `fused` where it has it.
With --seconds no new row starts once so much time has passed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
from contenders import IN_TORCH, Jax, Torch, ours, temporaries_of, theirs
from update_step import TREES, Tree, leaves

from optcc.report.cost import cost_of
from optcc.report.hlo import kernel_count

LOOP = 20
"""Steps in one call of a loop, and in one turn without."""
WARM = 2
"""Turns that are not counted."""
LARGE = Tree(lambda: leaves(1, 1 << 30), 1)
ELEMENTWISE = ("sgd", "momentum", "adam", "adamw", "lion")
"""Chains that run on whole buffers where everything is packed; others take minutes to compile without tiles."""
ON_DEVICE = {"gpt2": TREES["gpt2"], "small": TREES["small"], "leaf1b": LARGE}


class Queued:
    """Steps that are dispatched one after the other and waited for once."""

    def __init__(self, contender: Jax) -> None:
        self.contender = contender

    def time_steps(self, count: int) -> float:
        """Seconds of some steps."""
        c = self.contender
        start = time.perf_counter()
        for _ in range(count):
            c.params, c.state = c.run(c.params, c.state, c.grads)
        jax.block_until_ready((c.params, c.state))
        return time.perf_counter() - start

    def release(self) -> None:
        """Free what the steps work on."""
        self.contender.params = self.contender.state = self.contender.grads = None


class Looped:
    """Steps that are one call."""

    def __init__(self, contender: Jax) -> None:
        self.contender = contender

    def time_steps(self, count: int) -> float:
        """Seconds of some steps, of which there are as many as the loop has."""
        assert count == LOOP
        return self.contender.time_steps(1)


@dataclass
class Row:
    """One chain on one tree, by contender: milliseconds a step queued and in a loop, share of the copy's bandwidth,
    seconds to compile, kernels and bytes of temporaries."""

    tree: str
    chain: str
    bytes: int
    milliseconds: dict[str, float] = field(default_factory=dict)
    loop: dict[str, float] = field(default_factory=dict)
    of_copy: dict[str, float] = field(default_factory=dict)
    compile_seconds: dict[str, float] = field(default_factory=dict)
    kernels: dict[str, int] = field(default_factory=dict)
    temporaries: dict[str, int] = field(default_factory=dict)


def copy_bandwidth(count: int) -> float:
    """Bytes a second, read and written, of an in-place map over so many float32, the best of some turns."""
    run = jax.jit(lambda x: x * 1.0001, donate_argnums=0)
    x = jnp.ones(count, jnp.float32)
    best = float("inf")
    for _ in range(12):
        x = jax.block_until_ready(run(x))
        start = time.perf_counter()
        for _ in range(LOOP):
            x = run(x)
        jax.block_until_ready(x)
        best = min(best, (time.perf_counter() - start) / LOOP)
    return 8 * count / best


def contenders_of(row: Row, layouts: list[str], torches: dict[str, Torch]) -> Iterator[tuple[str, bool, Any]]:
    """Each contender with its name, and whether it is timed in a loop; what it compiled to comes into the row."""
    shapes = ON_DEVICE[row.tree].shapes()
    for layout in layouts:
        label = {"tree": "optcc", "tiled": "optcc tiled"}.get(layout, f"optcc packed {layout}")
        made, row.compile_seconds[label], executable, compiled = ours(row.chain, shapes, "stablehlo", layout, 0)
        row.temporaries[label] = temporaries_of(executable)
        if layout == "tree":
            cost = cost_of(compiled.staged.program.step.op)
            row.bytes = cost.bytes
        row.kernels[label] = kernel_count(executable.as_text())
        yield label, False, Queued(made)
        if row.tree != "leaf1b":
            yield label, True, Looped(ours(row.chain, shapes, "stablehlo", layout, LOOP)[0])
    made, row.compile_seconds["optax"], executable = theirs(row.chain, shapes, 0)
    row.temporaries["optax"], row.kernels["optax"] = temporaries_of(executable), kernel_count(executable.as_text())
    yield "optax", False, Queued(made)
    if row.tree != "leaf1b":
        yield "optax", True, Looped(theirs(row.chain, shapes, LOOP)[0])
    for form, torch in torches.items():
        if row.chain in IN_TORCH:
            torch.setup(row.chain, shapes)
            yield f"torch {form}", False, torch


def measure(name: str, chain: str, repeats: int, layouts: list[str], torches: dict[str, Torch], copy: float) -> Row:
    """Time one chain on one tree."""
    row = Row(name, chain, 0)
    times: dict[tuple[str, bool], list[float]] = {}

    def turn(label: str, loop: bool, contender: Any) -> None:
        times.setdefault((label, loop), []).append(contender.time_steps(LOOP) / LOOP)

    if name == "leaf1b":
        for label, loop, contender in contenders_of(row, layouts, torches):
            for _ in range(repeats + WARM):
                turn(label, loop, contender)
            contender.release()
    else:
        found = list(contenders_of(row, layouts, torches))
        for i in range(repeats + WARM):
            for label, loop, contender in found if i % 2 else found[::-1]:
                turn(label, loop, contender)
    for (label, loop), seconds in times.items():
        median = statistics.median(seconds[WARM:])
        (row.loop if loop else row.milliseconds)[label] = 1e3 * median
        share = row.bytes / median / copy
        row.of_copy[label] = max(share, row.of_copy.get(label, 0.0))
    return row


def show(row: Row) -> str:
    """One line for each contender."""
    lines: list[str] = []
    for label, ms in row.milliseconds.items():
        loop = f"{row.loop[label]:9.3f}" if label in row.loop else " " * 9
        compiled = f"{row.compile_seconds[label]:8.2f}" if label in row.compile_seconds else " " * 8
        kernels = f"{row.kernels[label]:7}" if label in row.kernels else " " * 7
        temporaries = f"{row.temporaries[label] / 1e6:10.2f}" if label in row.temporaries else ""
        share = row.of_copy[label]
        lines.append(
            f"{row.tree:7} {row.chain:11} {label:19} {ms:9.3f} {loop} {share:7.3f} {compiled} {kernels} {temporaries}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", default="gpt2,leaf1b,small")
    parser.add_argument("--chains", default="adamw,clip_adamw,lamb,lion,adafactor,momentum,sgd,adam")
    parser.add_argument("--layouts", default="tree,tiled")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--copy", type=int, default=1 << 29, help="float32 elements of the copy")
    parser.add_argument("--no-torch", action="store_true")
    parser.add_argument("--output", help="a JSON file for the rows")
    args = parser.parse_args()

    start = time.perf_counter()
    device = jax.devices()[0]
    copy = copy_bandwidth(args.copy)
    about = {"jax": jax.__version__, "device": device.device_kind, "copy GB/s": copy / 1e9}
    place = "cuda" if device.platform == "gpu" else "cpu"
    torches = {f: Torch(sys.executable, place, f) for f in ("foreach", "fused") if not args.no_torch}
    print(json.dumps(about))
    print("tree    chain       contender             ms/step   in loop of copy compile s kernels    temp MB")
    rows: list[Row] = []
    for tree in args.trees.split(","):
        for chain in args.chains.split(","):
            if time.perf_counter() - start > args.seconds:
                print(f"no time for {tree} {chain}")
                continue
            layouts = args.layouts.split(",") if tree != "leaf1b" else ["tree"]
            if chain not in ELEMENTWISE:
                layouts = [layout for layout in layouts if layout in ("tree", "tiled")]
            rows.append(measure(tree, chain, args.repeats, layouts, torches, copy))
            print(show(rows[-1]), flush=True)
            jax.clear_caches()
            if args.output:
                with open(args.output, "w") as file:
                    json.dump(about | {"rows": [asdict(r) for r in rows]}, file, indent=1)


if __name__ == "__main__":
    main()
