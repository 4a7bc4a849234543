"""A report as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from optcc.report.report import Report
from optcc.report.text import report_text, size_text


def report_html(report: Report) -> str:
    """The headline, the tables of sweeps and arrays, and the whole text folded."""
    moved, floor = report.bytes_per_parameter, report.floor_per_parameter
    figure = "not known (opaque calls)" if moved is None or floor is None else f"{moved:.1f}, floor {floor:.1f}"
    sweeps = [
        (
            str(i),
            size_text(s.read),
            size_text(s.written),
            f"{report.per_parameter(s.bytes):.1f}",
            ", ".join(s.waits_for) or "-",
            f"{s.backend}: {s.why}" if s.why else s.backend,
        )
        for i, s in enumerate(report.sweeps)
    ]
    arrays = [(a.name, a.dtype, f"{a.leaves:,}", size_text(a.bytes)) for a in report.arrays]
    opaque = "".join(f"<li>opaque call <code>{escape(c.name)}</code>: {escape(c.why)}</li>" for c in report.opaque)
    return (
        f"<div><p><b>{len(report.sweeps)} sweeps</b> over {report.parameters:,} parameters on {escape(report.device)}; "
        f"bytes/parameter: <b>{escape(figure)}</b></p>"
        + table_html(("sweep", "reads", "writes", "bytes/parameter", "waits for", "runs as"), sweeps)
        + table_html(("array", "dtype", "leaves", "size"), arrays)
        + (f"<ul>{opaque}</ul>" if opaque else "")
        + f"<details><summary>text</summary><pre>{escape(report_text(report))}</pre></details></div>"
    )


def table_html(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, which are escaped."""
    head = "".join(f"<th>{escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
