"""The pictures of the explorer, as SVG: what the sweeps read and write, and their bytes beside the floor."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from optcc.explore.data import Sweep
from optcc.report import Report

_ROW, _WIDTH, _BOX = 22, 190, 150


def dataflow(sweeps: Sequence[Sweep]) -> str:
    """Every array with a line to each sweep that touches it, and an arrow between sweeps of which one waits."""
    arrays = list(dict.fromkeys(name for sweep in sweeps for name in (*sweep.reads, *sweep.writes)))
    height = max(len(arrays), 1) * _ROW + 70
    x = [_WIDTH + 60 + i * (_BOX + 70) for i in range(len(sweeps))]
    parts = [_arrow_head()]
    for row, name in enumerate(arrays):
        y = 60 + row * _ROW
        parts.append(f'<text x="4" y="{y + 4}">{escape(name)}</text>')
        for i, sweep in enumerate(sweeps):
            if name in sweep.writes:
                mark = f'<rect x="{x[i] + 4}" y="{y - 6}" width="12" height="12" fill="#b03030"/>'
                parts.append(f"{mark}<title>{escape(name)} is read and overwritten</title>")
            elif name in sweep.reads:
                parts.append(f'<circle cx="{x[i] + 10}" cy="{y}" r="6" fill="#4878a8"/>')
        parts.append(f'<line x1="{_WIDTH}" y1="{y}" x2="{x[-1] if x else _WIDTH}" y2="{y}" stroke="#8884"/>')
    for i, sweep in enumerate(sweeps):
        parts.append(
            f'<a href="#sweep-{i}"><rect x="{x[i] - 20}" y="8" width="{_BOX}" height="28" rx="5" fill="none" '
            f'stroke="currentColor"/><text x="{x[i] - 8}" y="27">sweep {i}</text></a>'
        )
        parts += [
            f'<line x1="{x[j] - 20 + _BOX}" y1="22" x2="{x[i] - 22}" y2="22" stroke="currentColor" '
            f'marker-end="url(#head)">'
            f"<title>sweep {i} waits for sweep {j}</title></line>"
            for j in sweep.after
        ]
    width = (x[-1] + _BOX + 20) if x else _WIDTH
    return _svg(width, height, parts)


def bytes_bars(report: Report) -> str:
    """A bar for each sweep's bytes a parameter, one for all of them, and one for the floor."""
    values = [(f"sweep {i}", report.per_parameter(s.bytes), "#4878a8") for i, s in enumerate(report.sweeps)]
    values += [("all sweeps", report.per_parameter(report.moved), "#2a4a6a")]
    values += [("floor", report.per_parameter(report.floor), "#b03030")]
    largest = max(value for _, value, _ in values) or 1.0
    parts: list[str] = []
    for row, (name, value, colour) in enumerate(values):
        y = 4 + row * _ROW
        width = 400 * value / largest
        parts.append(f'<text x="4" y="{y + 14}">{name}</text>')
        parts.append(f'<rect x="100" y="{y + 2}" width="{width:.1f}" height="16" fill="{colour}"/>')
        parts.append(f'<text x="{106 + width:.1f}" y="{y + 14}">{value:.1f} bytes a parameter</text>')
    return _svg(680, 8 + len(values) * _ROW, parts)


def _arrow_head() -> str:
    shape = '<path d="M0,0 L8,4 L0,8 z" fill="currentColor"/>'
    box = 'markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto"'
    return f'<defs><marker id="head" {box}>{shape}</marker></defs>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'
