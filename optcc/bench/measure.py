"""The time of a compiled step on this machine beside the memory limit: what `optcc report --measure` adds."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from optcc.bench.contenders import BenchError, Jax, arrays_like
from optcc.bench.memory_limit import Limit, streams_of
from optcc.dialect import Role
from optcc.errors import message
from optcc.report import Measured, cost_of

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer

WARM, FEWEST, MOST = 2, 5, 200
"""Rounds that are not counted, and how many that are at least and at most."""


def measure(
    compiled: CompiledOptimizer, *, seconds: float = 3.0, progress: Callable[[str], None] = lambda what: None
) -> Measured:
    """Take steps on random arrays for some seconds, in turns with a C loop over the same streams.

    The loop needs a C compiler, a CPU, and sweeps over one leaf set; where it is not there `why_no_limit` says why.
    Raises BenchError for an optimizer that is compiled for another target, or that needs extra arguments.
    """
    if compiled.target is not None:
        raise BenchError(message("a target that need not be there cannot be measured", "--target", "leave it out"))
    shapes = compiled.staged.program.step.shapes(Role.PARAMS)
    step = Jax(lambda: _arrays(compiled, shapes))
    progress("first step")
    try:
        step.time_steps(1)
    except TypeError as error:
        raise BenchError(message(f"the step cannot be taken: {error}", "--measure")) from error
    limit, why = _limit(compiled, shapes)
    times: list[float] = []
    limits: list[float] = []
    begin = time.monotonic()
    for number in range(WARM + MOST):
        if len(times) >= FEWEST and time.monotonic() - begin > seconds:
            break
        progress(f"round {number + 1}")
        taken, least = step.time_steps(1), limit.time_steps(1) if limit else 0.0
        if number >= WARM:
            times.append(taken)
            limits.append(least)
    median = statistics.median(times)
    return Measured(
        seconds=median,
        low=sorted(times)[len(times) // 4],
        high=sorted(times)[-1 - len(times) // 4],
        rounds=len(times),
        bytes_per_second=cost_of(compiled.staged.program.step.op).bytes / median,
        limit_seconds=statistics.median(limits) if limit else None,
        of_limit=statistics.median(b / a for a, b in zip(times, limits, strict=True)) if limit else None,
        why_no_limit=why,
        device=jax.devices()[0].device_kind,
        cores=os.cpu_count() or 1,
    )


def _arrays(compiled: CompiledOptimizer, shapes: Any) -> tuple[Any, Any, Any, Any]:
    params = arrays_like(shapes, 0)
    return lambda p, s, g: compiled.step(g, s, p), params, compiled.init(params), arrays_like(shapes, 1)


def _limit(compiled: CompiledOptimizer, shapes: Any) -> tuple[Limit | None, str]:
    """The C loop, or why there is none."""
    if jax.default_backend() != "cpu":
        return None, f"the C loop runs on a CPU, the step on {jax.default_backend()}"
    try:
        limit = Limit(streams_of(compiled), sum(x.size for x in jax.tree.leaves(shapes)))
        limit.time_steps(1)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        return None, f"the C loop cannot be built or does not fit: {error}"
    return limit, ""
