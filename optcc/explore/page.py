"""The explorer as one HTML file, which needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from optcc.explore.data import Exploration, Line
from optcc.explore.drawing import bytes_bars, dataflow
from optcc.report.html import table_html
from optcc.report.text import size_text

_HERE = Path(__file__).parent
MOST_LEAVES = 500
"""Rows of the table of numerics."""
_CLASSES = {"+": "plus", "-": "minus", "@": "hunk"}


def page(found: Exploration) -> str:
    """The file: formulas, passes and kernels side by side, and the sweeps with their bytes below."""
    title = escape(f"{found.expression} on {found.params}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>optcc: {title}</title>'
        f"<style>{_file('page.css')}</style></head><body>{_header(found, title)}<main>"
        f'<div class="panel" id="formulas">{_formulas(found)}</div>'
        f'<div class="panel" id="passes">{_passes(found)}</div>'
        f'<div class="panel" id="kernels">{_final(found)}</div></main>'
        f"{_below(found)}<script>{_file('page.js')}</script></body></html>\n"
    )


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _header(found: Exploration, title: str) -> str:
    report = found.report
    moved, floor = report.bytes_per_parameter, report.floor_per_parameter
    figure = "bytes not known" if moved is None else f"{moved:.1f} bytes a parameter, floor {floor:.1f}"
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return (
        f"<header><h1>{title}</h1><p>{len(report.sweeps)} sweeps over {report.parameters:,} parameters, {figure}</p>"
        f"<p><code>{escape(found.command)}</code></p><p>{escape(versions)}, cache key {report.cache_key}</p>"
        "<p>Click a line: what comes from the same line of a formula is marked everywhere. "
        '<b id="marked"></b></p></header>'
    )


def _formulas(found: Exploration) -> str:
    """The chain, and below each transformation the lines of its formula that ops come from."""
    scopes: dict[str, list[int]] = {}
    for number, location in enumerate(found.locations):
        scopes.setdefault(location.scope, []).append(number)
    parts = ["<h2>Formulas</h2>"]
    for scope, numbers in sorted(scopes.items()):
        parts.append(f'<h2 data-l="{" ".join(map(str, numbers))}">{escape(scope) or "around the chain"}</h2>')
        for number in sorted(numbers, key=lambda n: (found.locations[n].file, found.locations[n].line)):
            location = found.locations[number]
            place = f"{location.file}:{location.line}"
            text = f"{location.line:>4}  {location.text}" if location.text else place
            parts.append(f'<div class="line" data-l="{number}" title="{escape(place)}">{escape(text)}</div>')
    return "".join(parts)


def _passes(found: Exploration) -> str:
    """A tab for the module as built and one for each pass with its diff; those that changed nothing are hidden."""
    changed = sum(bool(one.diff) for one in found.passes)
    tabs = ['<a href="#built" class="chosen">as built</a>']
    panes = [f'<div id="built" data-pane="ir">{_lines(found.built)}</div>']
    for i, one in enumerate(found.passes):
        kind = "" if one.diff else ' class="unchanged"'
        tabs.append(f'<a href="#pass-{i}"{kind}>{escape(one.name)}</a>')
        text = _lines(one.diff, diff=True) if one.diff else "<p>It changed nothing.</p>"
        pane = f"<p>{escape(one.name)}: {one.milliseconds:.1f} ms</p>{text}"
        panes.append(f'<div id="pass-{i}" data-pane="ir" hidden>{pane}</div>')
    others = f"and the {len(found.passes) - changed} that changed nothing"
    box = f'<label><input type="checkbox" id="unchanged"> {others}</label>'
    return f'<h2>Passes: {changed} changed something {box}</h2><nav class="tabs">{"".join(tabs)}</nav>{"".join(panes)}'


def _final(found: Exploration) -> str:
    """The module after all passes, with a link to each sweep, and the kernels of each."""
    tabs = ['<a href="#final">sweeps</a>']
    panes = [f'<div id="final" data-pane="made">{_final_lines(found)}</div>']
    for i, kernel in enumerate(found.kernels):
        users = [f"sweep {n}" for n, sweep in enumerate(found.sweeps) if kernel.name in sweep.kernels]
        tabs.append(f'<a href="#kernel-{i}">kernel {i}</a>')
        pane = f"<p>{escape(kernel.name)}, of {', '.join(users)}</p><pre>{escape(kernel.text)}</pre>"
        panes.append(f'<div id="kernel-{i}" data-pane="made" hidden>{pane}</div>')
    links = " ".join(f'<a href="#sweep-{i}">sweep {i}</a>' for i in range(len(found.sweeps)))
    nav = f'<nav class="tabs">{"".join(tabs)}</nav><p>{links}</p>'
    return f"<h2>Sweeps and kernels</h2>{nav}{''.join(panes)}"


def _final_lines(found: Exploration) -> str:
    begins = {sweep.begin: i for i, sweep in enumerate(found.sweeps)}
    ends = {sweep.end for sweep in found.sweeps}
    parts: list[str] = []
    for i, line in enumerate(found.final):
        parts.append("</div>" if i in ends else "")
        parts.append(f'<div id="sweep-{begins[i]}">' if i in begins else "")
        parts.append(_line(line, ""))
    return "".join(parts)


def _lines(lines: Iterable[Line], *, diff: bool = False) -> str:
    return "".join(_line(line, _CLASSES.get(line.text[:1], "") if diff else "") for line in lines)


def _line(line: Line, kind: str) -> str:
    data = f' data-l="{line.location}"' if line.location >= 0 else ""
    return f'<div class="{f"line {kind}".rstrip()}"{data}>{escape(line.text) or " "}</div>'


def _below(found: Exploration) -> str:
    """The sweeps and what they touch, bytes beside the floor, and every array."""
    report = found.report
    rows: Sequence[Sequence[str]] = [
        (
            str(i),
            size_text(s.read),
            size_text(s.written),
            ", ".join(s.waits_for) or "-",
            f"{s.backend}: {s.why}" if s.why else s.backend,
            ", ".join(f"kernel {n}" for n, k in enumerate(found.kernels) if k.name in found.sweeps[i].kernels) or "-",
        )
        for i, s in enumerate(report.sweeps)
    ]
    arrays = [(a.name, a.dtype, f"{a.leaves:,}", size_text(a.bytes)) for a in report.arrays]
    opaque = "".join(f"<li>opaque call <code>{escape(c.name)}</code>: {escape(c.why)}</li>" for c in report.opaque)
    return (
        '<section class="below" id="dataflow"><h2>What the sweeps touch: read (blue), read and overwritten (red)</h2>'
        f"{dataflow(found.sweeps)}</section>"
        f'<section class="below" id="bytes"><h2>Bytes beside the floor</h2>{bytes_bars(report)}'
        f"{table_html(('sweep', 'reads', 'writes', 'waits for', 'runs as', 'kernels'), rows)}"
        f"{f'<ul>{opaque}</ul>' if opaque else ''}</section>"
        f'<section class="below" id="arrays"><h2>Arrays</h2>'
        f"{table_html(('array', 'dtype', 'leaves', 'size'), arrays)}</section>{_numerics(found)}"
    )


def _numerics(found: Exploration) -> str:
    """For each leaf of each contender its largest difference from the interpreter, the furthest first."""
    if not found.numerics:
        return ""
    checks = sorted(found.numerics, key=lambda check: -check.excess)
    rows = [
        (c.leaf, c.contender, c.inputs, f"{c.ulps:.4g}", f"{c.excess:.2g}", "yes" if c.agrees else "no", c.origin)
        for c in checks[:MOST_LEAVES]
    ]
    more = f"<p>and {len(checks) - MOST_LEAVES} nearer ones</p>" if len(checks) > MOST_LEAVES else ""
    head = ("leaf", "of", "inputs", "largest ulps", "of allowed", "agrees", "made by")
    title = "Numerics: every leaf beside the interpreter, the furthest first"
    return f'<section class="below" id="numerics"><h2>{title}</h2>{table_html(head, rows)}{more}</section>'
