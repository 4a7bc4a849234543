"""Kernels with and without prefetches, in turns on the same arrays, beside the memory limit and PyTorch.

Run on a quiet machine:  python benchmarks/prefetch.py --output FILE [--trees gpt2,leaf32m,small] [--chains adamw,lamb]
                         [--ahead rule] [--repeats 15] [--torch-python PYTHON] [--layouts tree,state,all] [--cpu]

`--ahead` are the distances to compare with no prefetches: bytes of all streams of a loop together, with commas between,
or `rule` for what optcc does on this processor. A distance of 0 is a control: the same kernels once more, whose gain is
what the measurement itself makes up.
A round is one turn of each contender, and every second round goes backwards. What a round gains is the time without
prefetches over the time with them; printed are medians, and the quartiles of the gains. The arrays are shared, so
that where they lie in memory favours nobody; the limit and PyTorch have their own. Trees and turns are those of
update_step.py; on `small` the state, and then everything, is packed, too. With --cpu the seconds are those that all
threads of the process had a core, which says something on a machine that others use, too; PyTorch is left out then.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
from contenders import CHAINS, IN_TORCH, Torch, arrays_like
from update_step import TREES

import optcc
from optcc.bench.memory_limit import Limit, streams_of
from optcc.lowering.native.llvm.prefetch import VARIABLE

WARM = 3
"""Rounds that are not counted."""


@contextmanager
def prefetching(ahead: str) -> Iterator[None]:
    """Let kernels that are made prefetch so many bytes ahead, or by the rule."""
    before = os.environ.pop(VARIABLE, None)
    if ahead != "rule":
        os.environ[VARIABLE] = ahead
    yield
    os.environ.pop(VARIABLE, None)
    if before is not None:
        os.environ[VARIABLE] = before


class Arrays:
    """Parameters, state and gradients that all kernels work on."""

    def __init__(self, compiled: optcc.CompiledOptimizer, shapes: Any, layout: str) -> None:
        self.params, self.grads = arrays_like(shapes, 0), arrays_like(shapes, 1)
        self.state = compiled.init(self.params)
        if layout == "all":
            self.params, self.grads = compiled.pack(self.params), compiled.pack(self.grads)


class Steps:
    """The steps of an optimizer that was compiled for one distance."""

    def __init__(self, compiled: optcc.CompiledOptimizer, arrays: Arrays) -> None:
        self.compiled = compiled
        self.arrays = arrays

    def time_steps(self, count: int) -> float:
        """Seconds of some steps, each until all its results are there."""
        arrays = self.arrays
        start = time.perf_counter()
        for _ in range(count):
            arrays.params, arrays.state = jax.block_until_ready(
                self.compiled.step(arrays.grads, arrays.state, arrays.params)
            )
        return time.perf_counter() - start


@dataclass
class Row:
    """One chain on one tree: milliseconds a step by contender, and for each distance the gain and its quartiles."""

    tree: str
    layout: str
    chain: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    gains: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    of_limit: dict[str, float] = field(default_factory=dict)


def label_of(ahead: str) -> str:
    """The name of the contender of a distance; with 0 a control, whose kernels are those without prefetches."""
    return "0 again" if ahead == "0" else ahead


def contenders_of(chain: str, name: str, layout: str, distances: Sequence[str], torch: Torch | None) -> dict[str, Any]:
    """What runs in turn, by its name: the distance of the kernels, 0 for no prefetches; the limit; PyTorch."""
    shapes = TREES[name].shapes()
    found: dict[str, Any] = {}
    arrays: Arrays | None = None
    for label in ("0", *map(label_of, distances)):
        with prefetching(label.split()[0]):
            packed = "tree" if layout == "tree" else "packed"
            compiled = optcc.compile(CHAINS[chain](optcc), shapes, backend="native", layout=packed)
            arrays = arrays or Arrays(compiled, shapes, layout)
            found[label] = Steps(compiled, arrays)
            found[label].time_steps(1)  # compiles
    found["limit"] = Limit(streams_of(found["0"].compiled), sum(x.size for x in jax.tree.leaves(shapes)))
    if torch is not None and chain in IN_TORCH and layout == "tree":
        torch.setup(chain, shapes)
        found["torch"] = torch
    return found


def seconds_of(contender: Any, count: int, cpu: bool) -> float:
    """Seconds of some steps, or of the cores that they had."""
    start = time.process_time()
    seconds = contender.time_steps(count)
    return time.process_time() - start if cpu else seconds


def measure(
    chain: str, name: str, layout: str, distances: Sequence[str], repeats: int, cpu: bool, torch: Torch | None
) -> Row:
    """Time one chain on one tree."""
    tree, row = TREES[name], Row(name, layout, chain)
    contenders = contenders_of(chain, name, layout, distances, torch)
    times: dict[str, list[float]] = {label: [] for label in contenders}
    for i in range(repeats * tree.repeats + WARM):
        for label in [*contenders] if i % 2 else [*contenders][::-1]:
            contenders[label].time_steps(tree.untimed)
            times[label].append(seconds_of(contenders[label], tree.turn, cpu) / tree.turn)
    counted = {label: seconds[WARM:] for label, seconds in times.items()}
    row.milliseconds = {label: 1e3 * statistics.median(seconds) for label, seconds in counted.items()}
    for label in map(label_of, distances):
        gains = sorted(a / b for a, b in zip(counted["0"], counted[label], strict=True))
        row.gains[label] = statistics.median(gains), gains[len(gains) // 4], gains[-1 - len(gains) // 4]
    for label, seconds in counted.items():
        row.of_limit[label] = statistics.median(a / b for a, b in zip(counted["limit"], seconds, strict=True))
    return row


def show(row: Row) -> str:
    """One line for each contender."""
    lines: list[str] = []
    for label, ms in row.milliseconds.items():
        gain, low, high = row.gains.get(label, (0, 0, 0))
        gains = f"{gain:6.3f} [{low:.3f}, {high:.3f}]" if gain else ""
        place = f"{row.tree:8} {row.layout:6} {row.chain:11}"
        lines.append(f"{place} {label:7} {ms:9.3f} {row.of_limit[label]:8.3f} {gains}")
    return "\n".join(lines)


def processor() -> dict[str, Any]:
    """What /proc/cpuinfo says of the processor."""
    text = Path("/proc/cpuinfo").read_text()
    names = ("vendor_id", "model name", "cpu family", "model", "stepping", "cache size")
    found = {name: re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE) for name in names}
    return {name: match[1] for name, match in found.items() if match} | {"cores": os.cpu_count()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", default="gpt2,leaf32m,small")
    parser.add_argument("--chains", default=",".join(CHAINS))
    parser.add_argument("--layouts", help="tree, state, all: what is packed; the tree's own by default")
    parser.add_argument("--ahead", default="rule")
    parser.add_argument("--repeats", type=int, default=15, help="on gpt2; more often on smaller trees")
    parser.add_argument("--torch-python", help="a Python with PyTorch")
    parser.add_argument("--cpu", action="store_true", help="time of cores, not of the clock on the wall")
    parser.add_argument("--output", help="a JSON file for the rows")
    args = parser.parse_args()

    torch = Torch(args.torch_python) if args.torch_python and not args.cpu else None
    about = {"processor": processor(), "jax": jax.__version__, "cpu time": args.cpu, "load before": os.getloadavg()}
    print(json.dumps(about))
    print("tree     layout chain       ahead    ms/step limit/it   gain [quartiles]")
    distances = args.ahead.split(",")
    rows: list[Row] = []
    for tree in args.trees.split(","):
        for layout in args.layouts.split(",") if args.layouts else TREES[tree].layouts:
            for chain in args.chains.split(","):
                rows.append(measure(chain, tree, layout, distances, args.repeats, args.cpu, torch))
                print(show(rows[-1]), flush=True)
                if args.output:
                    found = about | {"load after": os.getloadavg(), "rows": [asdict(row) for row in rows]}
                    Path(args.output).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
