"""The performance page and its plots, from the JSON in benchmarks/results.

python .ci/site/performance.py    # writes docs/images/steps.svg, the README's plot, anew
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PLOT = ROOT / "docs" / "images" / "steps.svg"
COLOURS = ("#3f51b5", "#9aa0a6", "#e8710a", "#b8bcc2", "#7b8ad6")
CPU, GPU = "cpu-2026-11-23-native.json", ("h100-2026-11-27-tiled.json", "h200-2026-11-27.json")


def load(name: str) -> dict[str, Any]:
    """A file of measurements."""
    return json.loads((RESULTS / name).read_text())


def bars(title: str, names: Sequence[str], rows: Mapping[str, Sequence[float | None]], *, line: str = "") -> str:
    """Horizontal bars in groups, as SVG; `line` says what the line at 1 is."""
    height, left, width = 13, 110, 430
    most = max(x for values in rows.values() for x in values if x)
    scale, y, parts = width / most, 62, []
    for group, values in rows.items():
        parts.append(f'<text x="{left - 8}" y="{y + 11}" text-anchor="end">{escape(group)}</text>')
        for colour, value in zip(COLOURS, values, strict=False):
            if value:
                parts.append(
                    f'<rect x="{left}" y="{y}" width="{value * scale:.1f}" height="{height - 2}" fill="{colour}"/>'
                )
                parts.append(f'<text x="{left + value * scale + 4:.1f}" y="{y + 10}" class="n">{value:.2f}</text>')
                y += height
        y += 8
    key = "".join(
        f'<rect x="{left + 130 * i}" y="32" width="10" height="10" fill="{c}"/>'
        f'<text x="{left + 130 * i + 14}" y="41">{escape(n)}</text>'
        for i, (n, c) in enumerate(zip(names, COLOURS, strict=False))
    )
    mark = left + scale
    rule = f'<path d="M{mark:.1f} 54V{y}" stroke="#888" stroke-dasharray="3 3"/>' if line else ""
    rule += f'<text x="{mark:.1f}" y="{y + 12}" text-anchor="middle" class="n">{escape(line)}</text>' if line else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 620 {y + 20}" role="img" font-family="sans-serif" '
        f'font-size="11" fill="#777"><title>{escape(title)}</title><style>.n{{font-size:9px}}</style>'
        f'<text x="8" y="18" font-size="13">{escape(title)}</text>{key}{"".join(parts)}{rule}</svg>\n'
    )


def cpu_plot() -> str:
    """A step on GPT-2's leaves on a CPU, in times of the memory limit."""
    data = [row for row in load(CPU)["rows"] if row["tree"] == "gpt2"]
    keys = ("native", "optax", "torch")
    rows = {r["chain"]: [at(r, k, "limit") for k in keys] for r in sorted(data, key=order)}
    title = "One step on GPT-2's 148 leaves, 2 CPU cores: time over the memory limit's, less is better"
    return bars(title, ("optcc", "Optax, jitted", "PyTorch, fused"), rows, line="limit")


def order(row: Mapping[str, Any]) -> float:
    """Rows from the cheapest chain to the dearest."""
    return row["milliseconds"]["native"]


def at(row: Mapping[str, Any], key: str, unit: str) -> float | None:
    """A contender's time over another's."""
    times = row["milliseconds"]
    return times[key] / times[unit] if key in times else None


def gpu_plot(name: str) -> str:
    """A step on GPT-2's leaves on a GPU, as a share of the bandwidth of a copy."""
    data = load(name)
    keys = ("optcc tiled", "optax", "torch fused", "optcc")
    rows = {r["chain"]: [r["of_copy"].get(k) for k in keys] for r in data["rows"] if r["tree"] == "gpt2"}
    title = f"One step on GPT-2's leaves, {data['device']}: share of a copy's bandwidth, more is better"
    return bars(title, ("optcc, tiled", "Optax, jitted", "PyTorch, fused", "optcc, tree"), rows, line="copy")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def performance_page() -> str:
    """Plots and tables of the newest measurements; what they mean is in benchmarks.md."""
    cpu = load(CPU)
    contenders = ("native", "stablehlo", "optax", "torch", "limit")
    steps = [
        [r["tree"], r["chain"], *(f"{r['milliseconds'][k]:.1f}" if k in r["milliseconds"] else "" for k in contenders)]
        for r in cpu["rows"]
    ]
    head = ["tree", "chain", "optcc native", "optcc StableHLO", "Optax", "PyTorch fused", "limit"]
    parts = [
        "# Performance",
        "Made from the files in `benchmarks/results` when the site is built. [Benchmarks](benchmarks.md) says how each "
        "figure was measured, and what it does not show.",
        f"## On a CPU\n\n{cpu['machine']}, jax {cpu['jax']}. The limit is a C loop over the same streams.",
        cpu_plot(),
        f"Milliseconds a step ([JSON](results/{CPU})):\n\n{table(head, steps)}",
        "## On GPUs",
        *(f"{gpu_plot(name)}\n[JSON](results/{name})" for name in GPU),
        "## Every file\n\n" + "\n".join(f"- [{p.name}](results/{p.name})" for p in sorted(RESULTS.glob("*.json"))),
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PLOT.parent.mkdir(exist_ok=True)
    PLOT.write_text(cpu_plot())
