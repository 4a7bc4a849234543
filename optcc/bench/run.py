"""Timing contenders in turns, so that a drift of the machine meets them alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax

from optcc.base import GradientTransformation, PyTree
from optcc.bench.contenders import BenchError, Torch, ours, temporaries_of, theirs
from optcc.bench.memory_limit import Limit, streams_of
from optcc.bench.result import LIMIT, Result, Row
from optcc.errors import message
from optcc.report import cost_of
from optcc.runtime import native
from optcc.versions import versions

WARM = 2
"""Rounds that are not counted."""
TURN = 5e-3
"""Seconds that a turn has at least: of small trees it is several steps."""
MOST_STEPS = 50
"""Steps of a turn at most."""
LONG = 20e-3
"""Seconds of a step before which one is taken that is not timed: whoever had the turn before may have left XLA with
temporaries to free."""
LAYOUTS = ("tree", "state", "all", "tiled")
"""`state`: the state is packed; `all`: parameters and gradients, too; `tiled`: all of them, in tiles."""


class Contender(Protocol):
    """What takes steps and says how long they took."""

    def time_steps(self, count: int) -> float:
        """Seconds of some steps."""
        ...


@dataclass(frozen=True)
class Settings:
    """What is timed: optcc on each of `backends`, native kernels in each of `layouts`, the pair of Optax, PyTorch.

    `optax` is a pair of Optax's or None. `torch` is the name of a chain in `torch_worker.py` or empty, `torch_python`
    a Python with PyTorch. Rounds are taken for some `seconds`, at least 3, and at most `rounds` that count.
    """

    backends: Sequence[str] = ("native", "stablehlo")
    layouts: Sequence[str] = ("tree",)
    optax: Any = None
    torch: str = ""
    torch_python: str = sys.executable
    seconds: float = 20.0
    rounds: int = 50


@dataclass
class _Prepared:
    """A contender before it runs."""

    contender: Contender
    compile_seconds: float | None = None
    temporaries: int | None = None


def bench(
    tx: GradientTransformation,
    shapes: PyTree,
    settings: Settings,
    *,
    expression: str = "",
    params: str = "",
    progress: Callable[[str], None] = lambda what: None,
) -> Result:
    """Time one step of an optimizer, updated and applied in place, by every contender.

    Raises BenchError for what is not installed, and ValueError for an unknown backend or layout.
    """
    found, skipped, moved = _prepare(tx, shapes, settings, progress)
    try:
        times, turn = _take_turns({name: one.contender for name, one in found.items()}, settings, progress)
    finally:
        if isinstance(torch := found["torch"].contender if "torch" in found else None, Torch):
            torch.close()
    first = next(iter(times.values()))
    rows = tuple(_row(name, found[name], seconds, first) for name, seconds in times.items())
    leaves = jax.tree.leaves(shapes)
    return Result(
        expression=expression,
        params=params,
        leaves=len(leaves),
        parameters=sum(x.size for x in leaves),
        moved=moved,
        rounds=len(first),
        turn=turn,
        device=jax.devices()[0].device_kind,
        cores=os.cpu_count() or 1,
        rows=rows,
        skipped=skipped,
        versions=versions(),
    )


def _prepare(
    tx: GradientTransformation, shapes: PyTree, settings: Settings, progress: Callable[[str], None]
) -> tuple[dict[str, _Prepared], dict[str, str], int]:
    """The contenders, those that there are not with the reason, and the bytes of the sweeps of the first."""
    found: dict[str, _Prepared] = {}
    skipped: dict[str, str] = {}
    compiled = None
    for backend, layout in _own(settings):
        label = backend if layout == "tree" else f"{backend}, {_named(layout)}"
        if backend == "native" and (reason := native.unavailable_reason()):
            skipped["native"] = reason
            continue
        progress(f"compiling {label}")
        contender, seconds, executable, made = ours(tx, shapes, backend, layout)
        found[label] = _Prepared(contender, seconds, temporaries_of(executable))
        compiled = compiled or made
    if compiled is None:
        raise BenchError(message("none of the backends is here", "--backends", "add stablehlo"))
    if settings.optax is not None:
        progress("compiling optax")
        contender, seconds, executable = theirs(settings.optax, shapes)
        found["optax"] = _Prepared(contender, seconds, temporaries_of(executable))
    if settings.torch:
        progress("starting PyTorch")
        torch = Torch(settings.torch_python)
        torch.setup(settings.torch, shapes)
        found["torch"] = _Prepared(torch)
    try:
        found[LIMIT] = _Prepared(Limit(streams_of(compiled), sum(x.size for x in jax.tree.leaves(shapes))))
        found[LIMIT].contender.time_steps(1)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        found.pop(LIMIT, None)
        skipped[LIMIT] = f"the C loop cannot be built or does not fit: {error}"
    return found, skipped, cost_of(compiled.staged.program.step.op).bytes


def _own(settings: Settings) -> list[tuple[str, str]]:
    """optcc's contenders: each backend in trees, and the first of them in the other layouts."""
    for layout in settings.layouts:
        if layout not in LAYOUTS:
            raise ValueError(message(f"unknown layout {layout!r}", "--layouts", f"one of {', '.join(LAYOUTS)}"))
    return [(b, lay) for i, b in enumerate(settings.backends) for lay in (settings.layouts if i == 0 else ("tree",))]


def _named(layout: str) -> str:
    return {"state": "packed state", "all": "packed"}.get(layout, layout)


def _take_turns(
    contenders: Mapping[str, Contender], settings: Settings, progress: Callable[[str], None]
) -> tuple[dict[str, list[float]], int]:
    """Seconds of a step in every round that counts, and the steps of a turn."""
    begin = time.monotonic()
    for name, contender in contenders.items():
        progress(f"first step of {name}")
        contender.time_steps(1)
    once = min(contender.time_steps(1) for contender in contenders.values())
    turn = max(1, min(MOST_STEPS, round(TURN / once)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    counted = 0
    for number in range(WARM + settings.rounds):
        if counted >= 3 and time.monotonic() - begin > settings.seconds:
            break
        left = max(0.0, settings.seconds - (time.monotonic() - begin))
        for name, contender in contenders.items():
            progress(f"round {number + 1}, {name}, {left:.0f} s left")
            if once > LONG:
                contender.time_steps(1)
            seconds = contender.time_steps(turn) / turn
            if number >= WARM:
                times[name].append(seconds)
        counted += number >= WARM
    return times, turn


def _row(name: str, prepared: _Prepared, seconds: Sequence[float], first: Sequence[float]) -> Row:
    """Median and quartiles of the times of a contender."""
    ordered = sorted(1e3 * s for s in seconds)
    ratios = [b / a for a, b in zip(first, seconds, strict=True)]
    return Row(
        contender=name,
        milliseconds=statistics.median(ordered),
        low=ordered[len(ordered) // 4],
        high=ordered[-1 - len(ordered) // 4],
        ratio=None if seconds is first else statistics.median(ratios),
        compile_seconds=prepared.compile_seconds,
        temporaries=prepared.temporaries,
    )
