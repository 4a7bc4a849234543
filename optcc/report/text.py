"""The text of a report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table

from optcc.report.report import Executable, Layout, Measured, Mesh, Product, Report, Roofline


def report_text(report: Report) -> str:
    """Sweeps and bytes; kernels, aliasing and temporaries; every array; and what fell short."""
    lines = [_sweep_table(report), *_summary(report), *_mesh(report.mesh), *_backends(report)]
    lines += _executable(report, report.executable) if report.executable else []
    lines += _roofline(report, report.roofline) if report.roofline else []
    lines += _measured(report.measured) if report.measured else []
    lines += ["", _array_table(report)]
    lines += ["", _group_table(report)] if len(report.groups) > 1 else []
    notes = _notes(report)
    return "\n".join(lines + ([""] + [f"note: {note}" for note in notes] if notes else [])) + "\n"


def _sweep_table(report: Report) -> str:
    rows = [
        (
            str(i),
            size_text(sweep.read),
            size_text(sweep.written),
            f"{report.per_parameter(sweep.bytes):.1f}",
            ", ".join(sweep.waits_for) or "-",
        )
        for i, sweep in enumerate(report.sweeps)
    ]
    return _table("Sweeps of one step", ("sweep", "reads", "writes", "bytes/parameter", "waits for"), rows)


def _array_table(report: Report) -> str:
    rows = [(a.name, a.dtype, f"{a.leaves:,}", size_text(a.bytes)) for a in report.arrays]
    return _table("Arrays of one step", ("array", "dtype", "leaves", "size"), rows)


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    table = Table(*columns, title=title, box=None)
    for row in rows:
        table.add_row(*row)
    out = StringIO()
    Console(file=out, width=100, color_system=None, markup=False, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines())


def _summary(report: Report) -> list[str]:
    lines = [
        "",
        f"parameters:      {report.parameters:,}",
        f"sweeps:          {len(report.sweeps)}",
        _bytes_line(report),
    ]
    if report.products:
        lines.append(_products_line(report.products))
    if not report.opaque and report.moved > report.floor:
        waits = sorted({w for sweep in report.sweeps for w in sweep.waits_for})
        lines.append(f"  above the floor because a sweep waits for {' and '.join(waits) or 'another'} and reads again")
    return lines


def _products_line(products: Sequence[Product]) -> str:
    """How many products of matrices, and what they take; copies into batches and back move bytes, too."""
    count, flops = sum(p.flops > 0 for p in products), sum(p.flops for p in products)
    moved = size_text(sum(p.read + p.written for p in products))
    return f"products:        {count} of batches of matrices, {flops / 1e9:,.3g} GFLOP, {moved} beside the sweeps"


def _bytes_line(report: Report) -> str:
    """The headline of the traffic, with no figure where opaque calls have traffic of their own."""
    per = report.per_parameter
    if report.opaque:
        calls = "an opaque call" if len(report.opaque) == 1 else f"{len(report.opaque)} opaque calls"
        alone = f"the sweeps alone: {per(report.moved):.1f}"
        return f"bytes/parameter: not known, the traffic of {calls} is not counted ({alone})"
    return f"bytes/parameter: {per(report.moved):.1f}, floor {per(report.floor):.1f} (each array touched once)"


def _mesh(mesh: Mesh | None) -> list[str]:
    """The mesh, and what runs on each device."""
    if mesh is None:
        return []
    axes = " x ".join(f"{axis} = {size}" for axis, size in mesh.axes.items())
    if mesh.why_whole:
        how = f"XLA partitions the step, since {mesh.why_whole}; sweeps and their bytes are those of all devices"
    else:
        how = "each device runs the step on its parts of the arrays; sweeps and bytes are those of one device"
    gathered = ", parameters are gathered after it" if mesh.gathers else ""
    return [f"mesh:            {math.prod(mesh.axes.values())} devices, {axes}", f"  {how}{gathered}"]


def _backends(report: Report) -> list[str]:
    """What each sweep runs on, and why where it is not a native kernel."""
    native = sum(sweep.backend == "native" for sweep in report.sweeps)
    lines = [f"backend:         {native} of {len(report.sweeps)} sweeps native, on {report.device}"]
    lines += [f"  sweep {i} runs as {s.backend}: {s.why}" for i, s in enumerate(report.sweeps) if s.why]
    return [*lines, *_layout(report.layout, native == len(report.sweeps))]


def _layout(layout: Layout, all_native: bool) -> list[str]:
    """The layout of the state if it is packed, and what that costs."""
    if layout.name == "tree":
        return []
    lines = [f"layout:          {layout.name}, the {layout.arrays:,} arrays of the state in {layout.buffers}"]
    if layout.name == "tiled":
        lines.append("  with parameters and gradients tiled, too; in stablehlo others are copied at every step")
    elif not all_native:
        lines.append(
            "  in stablehlo each leaf is sliced out of its buffer, and the buffer put together again, at every step,\n"
            "  unless the chain is elementwise and parameters and gradients are packed, too"
        )
    return lines


def _executable(report: Report, made: Executable) -> list[str]:
    """The instructions that run, the collectives if there are any, and what is in place."""
    fusions = f", {made.fusions} of them fusions" if report.for_target else ""
    lines = [f"kernels:         {made.kernels} (instructions of XLA's entry computation that run{fusions})"]
    if made.collectives:
        found = ", ".join(f"{count} {opcode}" for opcode, count in made.collectives.items())
        lines.append(f"collectives:     {found}")
    return [
        *lines,
        f"aliased:         {size_text(made.aliased)} of {size_text(made.donated)} of state and parameters",
        f"temporaries:     {size_text(made.temporaries)}",
    ]


def _roofline(report: Report, line: Roofline) -> list[str]:
    source = "between memory and chip" if line.source == "HLO" else "the sweeps' bytes"
    accessed = f"{size_text(line.accessed)}, {report.per_parameter(line.accessed):.1f} a parameter ({source})"
    if line.counted_by_xla is not None:
        accessed += f"; {report.per_parameter(line.counted_by_xla):.1f} as XLA counts, moves within the chip included"
    card = f"{line.card}: {line.bandwidth / 1e9:,.0f} GB/s, {size_text(line.card_memory)} (the maker's figures)"
    return [
        f"target:          {card}",
        f"bytes accessed:  {accessed}",
        f"roofline:        {line.seconds * 1e6:,.1f} us a step at least, for these bytes at the card's full bandwidth",
        f"memory:          {size_text(line.memory)} of parameters, state, gradients and temporaries",
    ]


def _group_table(report: Report) -> str:
    """What the leaf sets get that is not the same for all of them."""
    every = [set(group.hyperparameters.items()) for group in report.groups]
    shared = set.intersection(*every)
    rows = [
        (group.name, f"{group.leaves:,}", ", ".join(f"{k} = {v:g}" for k, v in sorted(own - shared)) or "-")
        for group, own in zip(report.groups, every, strict=True)
    ]
    return _table("Leaves that are treated alike", ("leaf set", "leaves", "hyperparameters of its own"), rows)


def _measured(found: Measured) -> list[str]:
    """The measured time, the rate at which the sweeps' bytes move, and the memory limit."""
    times = (
        f"{1e3 * found.seconds:.3g} ms a step ({1e3 * found.low:.3g} to {1e3 * found.high:.3g}, {found.rounds} rounds)"
    )
    lines = [
        f"measured:        {times} on {found.cores} cores of {found.device}",
        f"  the sweeps' bytes at {found.bytes_per_second / 1e9:.3g} GB/s",
    ]
    if found.limit_seconds is None or found.of_limit is None:
        return [*lines, f"  no memory limit: {found.why_no_limit}"]
    limit = f"{1e3 * found.limit_seconds:.3g} ms, a C loop over the same streams"
    return [*lines, f"  {found.of_limit:.0%} of the measured memory limit ({limit})"]


def _notes(report: Report) -> list[str]:
    notes = [f"sweep {i} writes '{a}' to an array of its own" for i, s in enumerate(report.sweeps) for a in s.fresh]
    for call in report.opaque:
        notes.append(f"opaque call '{call.name}': its traffic is not counted, and no sweep spans it")
        notes += [f"  it was not imported: {call.why}"] if call.why else []
    made = report.executable
    if made is None:
        notes.append("made without XLA: kernels, aliased bytes and temporaries are not known")
    elif made.aliased < made.donated:
        notes.append(f"{size_text(made.donated - made.aliased)} of donated buffers are not reused")
    return notes


def size_text(count: int) -> str:
    """A number of bytes in the unit that fits it."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"
