"""A picture of a benchmark: a bar for each contender, and the memory limit as a line."""

from __future__ import annotations

from pathlib import Path

from optcc.bench.contenders import needed
from optcc.bench.result import LIMIT, Result


def check_plot() -> None:
    """Raises BenchError where matplotlib is not installed: before anything is timed."""
    needed("matplotlib", "--plot")


def plot(result: Result, file: Path) -> None:
    """Write the picture, in the format of the file's ending. Raises BenchError where matplotlib is not installed."""
    matplotlib = needed("matplotlib", "--plot")
    matplotlib.use("agg")
    pyplot = needed("matplotlib.pyplot", "--plot")
    rows = [row for row in reversed(result.rows) if row.contender != LIMIT]
    figure, axes = pyplot.subplots(figsize=(7, 1 + 0.5 * len(rows)), layout="constrained")
    medians = [row.milliseconds for row in rows]
    around = [[m - row.low for m, row in zip(medians, rows)], [row.high - m for m, row in zip(medians, rows)]]  # noqa: B905
    bars = axes.barh([row.contender for row in rows], medians, xerr=around, color="#4878a8", ecolor="#333333")
    axes.bar_label(bars, fmt=" %.3g ms", padding=3)
    if result.limit is not None:
        axes.axvline(result.limit, color="#b03030", linestyle="--", label=f"memory limit, {result.limit:.3g} ms")
        axes.legend(loc="lower right", fontsize="small")
    axes.set_xlabel("milliseconds a step: median and quartiles")
    axes.set_title(f"{result.expression} on {result.params}, {result.device}, {result.cores} cores", fontsize="small")
    axes.margins(x=0.15)
    figure.savefig(file, dpi=150)
    pyplot.close(figure)
