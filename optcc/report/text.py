"""The report of a compiled optimizer, as text."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from optcc.dialect import SweepOp
from optcc.lowering.native.calls import why_not_native
from optcc.report.cost import Cost, cost_of
from optcc.report.hlo import collectives, kernel_count, kernels
from optcc.runtime.backends import why_no_native_calls
from optcc.targets import platform_of

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer


def report_text(compiled: CompiledOptimizer) -> str:
    """Sweeps and bytes from the IR; kernels, aliasing and temporaries from the executable; and what fell short."""
    cost = cost_of(compiled.staged.program.step.op)
    lines = [_sweep_table(cost), *_summary(cost), *_executable(compiled, cost)]
    return "\n".join(lines) + "\n"


def _sweep_table(cost: Cost) -> str:
    table = Table("sweep", "reads", "writes", "bytes/parameter", "waits for", title="Sweeps of one step", box=None)
    for i, sweep in enumerate(cost.sweeps):
        table.add_row(
            str(i),
            _size(sweep.read),
            _size(sweep.written),
            f"{cost.per_parameter(sweep.bytes):.1f}",
            ", ".join(sweep.waits_for) or "-",
        )
    out = StringIO()
    Console(file=out, width=100, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def _summary(cost: Cost) -> list[str]:
    lines = [
        "",
        f"parameters:      {cost.parameters:,}",
        f"sweeps:          {len(cost.sweeps)}",
        _bytes_line(cost),
    ]
    if cost.barriers:
        return lines
    if cost.bytes > cost.floor:
        waits = sorted({w for sweep in cost.sweeps for w in sweep.waits_for})
        lines.append(f"  above the floor because a sweep waits for {' and '.join(waits) or 'another'} and reads again")
    return lines


def _bytes_line(cost: Cost) -> str:
    """The headline of the traffic, with no figure where opaque calls have traffic of their own."""
    per = cost.per_parameter
    if cost.barriers:
        calls = "an opaque call" if len(cost.barriers) == 1 else f"{len(cost.barriers)} opaque calls"
        alone = f"the sweeps alone: {per(cost.bytes):.1f}"
        return f"bytes/parameter: not known, the traffic of {calls} is not counted ({alone})"
    return f"bytes/parameter: {per(cost.bytes):.1f}, floor {per(cost.floor):.1f} (each array touched once)"


def _executable(compiled: CompiledOptimizer, cost: Cost) -> list[str]:
    stats = compiled.executable.memory_analysis()
    expected = compiled.donated_bytes
    lines = [
        *_backends(compiled),
        *_kernels(compiled),
        f"aliased:         {_size(stats.alias_size_in_bytes)} of {_size(expected)} of state and parameters",
        f"temporaries:     {_size(stats.temp_size_in_bytes)}",
        *_roofline(compiled, cost),
    ]
    notes = [f"sweep {i} writes '{name}' to an array of its own" for i, s in enumerate(cost.sweeps) for name in s.fresh]
    for name in cost.barriers:
        notes.append(f"opaque call '{name}': its traffic is not counted, and no sweep spans it")
        why = getattr(compiled.program.callables.get(name), "why", "")
        notes += [f"  it was not imported: {why}"] if why else []
    if stats.alias_size_in_bytes < expected:
        notes.append(f"{_size(expected - stats.alias_size_in_bytes)} of donated buffers are not reused")
    return lines + ([""] + [f"note: {note}" for note in notes] if notes else [])


def _kernels(compiled: CompiledOptimizer) -> list[str]:
    """The instructions that run, and the collectives if there are any."""
    text = compiled.hlo()
    fusions = f", {kernels(text)['fusion']} of them fusions" if compiled.target else ""
    lines = [f"kernels:         {kernel_count(text)} (instructions of XLA's entry computation that run{fusions})"]
    if found := collectives(text):
        lines.append(f"collectives:     {', '.join(f'{count} {opcode}' for opcode, count in sorted(found.items()))}")
    return lines


def _roofline(compiled: CompiledOptimizer, cost: Cost) -> list[str]:
    """The least time that a step takes on the target's card, and the memory that it needs there."""
    card = compiled.target.card if compiled.target else None
    if card is None:
        return []
    stats = compiled.executable.memory_analysis()
    # XLA tells no bytes of a program for a GPU.
    accessed = (compiled.executable.cost_analysis() or {}).get("bytes accessed")
    moved, source = (cost.bytes, "the sweeps'") if accessed is None else (int(accessed), "XLA's count of")
    held = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    microseconds = moved / card.bandwidth * 1e6
    return [
        f"target:          {card.name}: {card.bandwidth / 1e9:,.0f} GB/s, {_size(card.memory)} (the maker's figures)",
        f"bytes accessed:  {_size(moved)}, {cost.per_parameter(moved):.1f} a parameter ({source} bytes)",
        f"roofline:        {microseconds:,.1f} us a step at least, for these bytes at the card's full bandwidth",
        f"memory:          {_size(held + stats.temp_size_in_bytes)} of parameters, state, gradients and temporaries",
    ]


def _backends(compiled: CompiledOptimizer) -> list[str]:
    """What each sweep runs on, and why where it is not a native kernel."""
    device = platform_of(compiled.target)
    reasons = why_not(compiled)
    native = sum(not reason for reason in reasons)
    lines = [f"backend:         {native} of {len(reasons)} sweeps native, on {device}"]
    lines += [f"  sweep {i} runs as stablehlo: {reason}" for i, reason in enumerate(reasons) if reason]
    return [*lines, *_layout(compiled, native == len(reasons))]


def _layout(compiled: CompiledOptimizer, all_native: bool) -> list[str]:
    """The layout of the state if it is packed, and what that costs."""
    if compiled.layout == "tree":
        return []
    slots = compiled.state_layout.slots
    leaves = sum(len(slot.positions) for slot in slots)
    lines = [f"layout:          {compiled.layout}, the {leaves:,} arrays of the state in {len(slots)}"]
    if compiled.layout == "tiled":
        lines.append("  with parameters and gradients tiled, too; in stablehlo others are copied at every step")
    elif not all_native:
        lines.append(
            "  in stablehlo each leaf is sliced out of its buffer, and the buffer put together again, at every step,\n"
            "  unless the chain is elementwise and parameters and gradients are packed, too"
        )
    return lines


def why_not(compiled: CompiledOptimizer) -> list[str]:
    """For each sweep of `step` why it does not run as a native kernel, "" if it does."""
    function = compiled.staged.program.step.op
    sweeps = [op for op in function.body.block.ops if isinstance(op, SweepOp)]
    everywhere = why_no_native_calls(compiled.backend, platform_of(compiled.target))
    return [everywhere or why_not_native(op) for op in sweeps]


def _size(count: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
