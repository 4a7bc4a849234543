"""One step of each optimizer: optcc beside jitted, donated Optax, PyTorch's fused optimizers and the memory limit.

Run on a quiet machine:  python benchmarks/update_step.py [--trees gpt2,small] [--chains adamw,lamb] [--repeats 15]
                         [--layouts tree,state,all] [--torch-python PYTHON] [--output FILE]

Each step updates and applies in place, on the same arrays. The time of a step is taken from the call until all results
are there. The contenders take turns, so that a drift of the machine meets them alike; a turn is one step, or a few on
small trees, where the first finds what the other contenders left of the caches. On large trees a step that is not timed
comes before: XLA frees the temporaries of a step behind it, for 30 to 65 ms under Optax's lamb and adafactor on gpt2,
and whoever comes next would pay. Medians are printed, and written as JSON with --output. The limit is a C loop over the
same streams as the sweeps of the step, with the same sizes and threads, timed in the same turns.
PyTorch runs in an environment of its own:
`python -m venv torch && torch/bin/pip install torch==2.13.0 numpy`, then `--torch-python torch/bin/python`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from contenders import CHAINS, IN_TORCH, Torch, ours, returning, temporaries_of, theirs

from optcc.bench.memory_limit import Limit, streams_of
from optcc.params import load_params


def leaves(count: int, size: int) -> Any:
    """A tree of equal float32 leaves."""
    return {f"layer{i}": jax.ShapeDtypeStruct((size,), jnp.float32) for i in range(count)}


@dataclass(frozen=True)
class Tree:
    """Parameters to time on; with `loop`, that many steps inside one `fori_loop`, without the dispatch of each.

    `turn` is the number of steps, or loops, that a contender does in one turn, `untimed` that of those before. With
    `buffers`, jitted calls that only return as many arrays as adamw has are timed, too, and an empty call.
    """

    shapes: Callable[[], Any]
    repeats: int
    loop: int = 0
    turn: int = 1
    untimed: int = 0
    buffers: bool = False
    layouts: tuple[str, ...] = ("tree",)


TREES = {
    "gpt2": Tree(lambda: load_params("gpt2"), 1, untimed=1),
    "leaf32m": Tree(lambda: leaves(1, 1 << 25), 2, untimed=1),
    "loop": Tree(lambda: leaves(1000, 10_000), 1, loop=20),
    "small": Tree(lambda: leaves(1000, 100), 5, turn=10, buffers=True, layouts=("tree", "state", "all")),
}
"""GPT-2 small, 148 leaves of 124 million parameters in all; one leaf of 32 million; 1,000 leaves of 10,000 values in a
loop; 1,000 leaves of 100."""


@dataclass
class Row:
    """Medians of one chain on one tree, by contender: milliseconds a step, seconds to compile, bytes of temporaries.

    `ratios` are the medians of the pairwise ratios of the others' times to optcc's (native, in trees), `low` and
    `high` their quartiles; `gains` those of Optax's time to each.
    """

    tree: str
    chain: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    gains: dict[str, float] = field(default_factory=dict)
    compile_seconds: dict[str, float] = field(default_factory=dict)
    temporaries: dict[str, int] = field(default_factory=dict)


def measure(
    name: str, chain: str, repeats: int, torch: Torch | None, backends: list[str], layouts: Sequence[str]
) -> Row:
    """Time one chain on one tree, all contenders in turn."""
    tree, row = TREES[name], Row(name, chain)
    shapes = tree.shapes()
    contenders: dict[str, Any] = {}
    limit: Limit | None = None
    for backend in backends:
        for layout in layouts if backend == "native" else ("tree",):
            label = backend if layout == "tree" else f"{backend} packed {layout}"
            contenders[label], row.compile_seconds[label], executable, compiled = ours(
                chain, shapes, backend, layout, tree.loop
            )
            row.temporaries[label] = temporaries_of(executable)
            if limit is None:
                limit = Limit(streams_of(compiled), sum(x.size for x in jax.tree.leaves(shapes)))
    contenders["optax"], row.compile_seconds["optax"], executable = theirs(chain, shapes, tree.loop)
    row.temporaries["optax"] = temporaries_of(executable)
    if torch is not None and chain in IN_TORCH and not tree.loop:
        torch.setup(chain, shapes)
        contenders["torch"] = torch
    assert limit is not None
    contenders["limit"] = limit
    if tree.buffers:
        contenders |= {"buffers, tree": returning(shapes, 2), "buffers, packed state": returning(shapes, 0)}
        contenders["empty call"] = returning(leaves(1, 1), 0)
    times: dict[str, list[float]] = {label: [] for label in contenders}
    for _ in range(repeats * tree.repeats + 3):
        for label, contender in contenders.items():
            steps = tree.turn * (tree.loop if tree.loop and label != "limit" else 1)
            contender.time_steps(tree.untimed)
            times[label].append(contender.time_steps(tree.turn) / steps)
    for label, seconds in times.items():
        row.milliseconds[label] = 1e3 * statistics.median(seconds[3:])
        ratios = sorted(b / a for a, b in zip(times[backends[0]][3:], seconds[3:], strict=True))
        row.ratios[label] = statistics.median(ratios)
        row.low[label], row.high[label] = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        row.gains[label] = statistics.median(b / a for a, b in zip(seconds[3:], times["optax"][3:], strict=True))
    return row


def show(row: Row) -> str:
    """One line for each contender."""
    lines: list[str] = []
    for label, ms in row.milliseconds.items():
        compiled = f"{row.compile_seconds[label]:8.2f}" if label in row.compile_seconds else " " * 8
        temporaries = f"{row.temporaries[label] / 1e6:10.2f}" if label in row.temporaries else ""
        lines.append(
            f"{row.tree:8} {row.chain:11} {label:21} {ms:9.3f} {row.ratios[label]:7.3g} "
            f"[{row.low[label]:.3g}, {row.high[label]:.3g}] {row.gains[label]:7.3g} {compiled} {temporaries}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trees", default=",".join(TREES))
    parser.add_argument("--chains", default=",".join(CHAINS))
    parser.add_argument("--backends", default="native,stablehlo", help="the first is what ratios refer to")
    parser.add_argument(
        "--layouts", help="tree, state, all: what native kernels find packed; the tree's own by default"
    )
    parser.add_argument("--repeats", type=int, default=11, help="on gpt2; more often on small trees")
    parser.add_argument("--torch-python", help="a Python with PyTorch")
    parser.add_argument("--output", help="a JSON file for the rows")
    args = parser.parse_args()

    torch = Torch(args.torch_python) if args.torch_python else None
    for backend in args.backends.split(","):
        ours("sgd", leaves(1, 1), backend, "tree", 0)  # what is imported for the first optimizer is not compile time
    print(f"jax {jax.__version__}, {jax.default_backend()}, {os.cpu_count()} cores")
    print("tree     chain       contender                ms/step   ratio [quartiles] optax/it compile s    temp MB")
    rows: list[Row] = []
    for tree in args.trees.split(","):
        for chain in args.chains.split(","):
            layouts = args.layouts.split(",") if args.layouts else TREES[tree].layouts
            rows.append(measure(tree, chain, args.repeats, torch, args.backends.split(","), layouts))
            print(show(rows[-1]), flush=True)
            if args.output:
                with open(args.output, "w") as file:
                    json.dump({"jax": jax.__version__, "rows": [asdict(r) for r in rows]}, file, indent=1)


if __name__ == "__main__":
    main()
