"""`optcc explore`: the file is whole, its links resolve, and what it links comes from where it says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import optcc
from optcc.explore import explore, page
from optcc.explore.data import Exploration
from optcc.expressions import parse_optimizer
from optcc.params import load_params
from optcc.program.module_text import print_module
from optcc.runtime import native
from tests.cli.calls import EXPRESSION, stdout

VOID = {"meta", "input"}


@pytest.fixture(scope="module")
def found() -> Exploration:
    opt = optcc.compile(parse_optimizer(EXPRESSION), load_params('{"w": [30, 40], "b": [40]}'))
    return explore(opt, command="optcc explore", expression=EXPRESSION, params="two leaves <&>")


class Reader(HTMLParser):
    """The elements of a page: ids, links, locations and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.elements if attribute in attrs]


def test_page_is_whole(found: Exploration) -> None:
    text = page(found)
    reader = Reader(text)
    ids = Counter(reader.values("id"))
    assert max(ids.values()) == 1
    links = reader.values("href")
    assert {link[1:] for link in links} <= set(ids)
    assert {f"pass-{i}" for i in range(len(found.passes))} <= {link[1:] for link in links}
    assert "two leaves &lt;&amp;&gt;" in text
    assert "two leaves <" not in text
    assert f"cache key {found.report.cache_key}<" in text


def test_page_needs_no_network(found: Exploration) -> None:
    reader = Reader(page(found))
    assert not reader.values("src")
    assert all(link.startswith("#") for link in reader.values("href"))
    assert not re.search(r"@import|url\(h|https?://(?!www\.w3\.org/2000/svg)", page(found))


def test_locations_are_in_every_panel(found: Exploration) -> None:
    """A line of the formula, the op as built, the diff of a pass and the sweep have the location that a click marks."""
    text = page(found)
    numbers = {n for value in Reader(text).values("data-l") for n in value.split()}
    assert numbers == set(map(str, range(len(found.locations))))
    formulas, passes, kernels = (text.split(f'id="{name}"')[1] for name in ("formulas", "passes", "kernels"))
    (square,) = (i for i, one in enumerate(found.locations) if "abs_sq(g)" in one.text)
    for panel in (formulas.split('id="passes"')[0], passes.split('id="kernels"')[0], kernels):
        assert f'data-l="{square}"' in panel


def test_every_multiplication_of_a_sweep_has_its_formula(found: Exploration) -> None:
    first, second = found.sweeps
    assert (first.after, second.after) == ((), (0,))
    lines = found.final[second.begin : second.end]
    assert lines[0].text.lstrip().startswith("%")
    assert "optim.sweep" in lines[0].text
    assert lines[-1].text.strip() == "}"
    products = [line for line in lines if "arith.mulf" in line.text]
    assert len(products) > 4
    for line in products:
        location = found.locations[line.location]
        assert line.location >= 0
        assert "*" in location.text or "_sq(" in location.text
    assert {found.locations[line.location].scope for line in products} >= {
        "chain[0] clip_by_global_norm",
        "chain[1][0] scale_by_adam",
    }


def test_locations_survive_all_passes() -> None:
    """Of the ops of the step that compute, all but those of a pass have a location, and it is a line that is there."""
    opt = optcc.compile(parse_optimizer(EXPRESSION), load_params('{"w": [3]}'))
    text = print_module(opt.staged.module("sweeps"), debuginfo=True).split("@update(")[1]
    computing = [line for line in text.splitlines() if re.search(r"= (arith|math)\.", line)]
    unknown = [line for line in computing if line.endswith("loc(unknown)")]
    assert len(computing) > 40
    assert len(unknown) == 1
    assert "arith.addf %params" in unknown[0]
    assert '"optcc/transforms/moments.py":' in text


def test_a_formula_of_the_user_has_its_own_file() -> None:
    from optcc.builder import transformation

    tx = transformation("double", lambda b, p: (), lambda b, g, s, p: (g * 2.0, s))
    made = explore(optcc.compile(tx, load_params('{"w": [3]}')))
    assert any(one.file == __file__ and "g * 2.0" in one.text for one in made.locations)


def test_unchanged_passes_are_hidden(found: Exploration) -> None:
    text = page(found)
    unchanged = [one.name for one in found.passes if not one.diff]
    assert unchanged
    assert re.findall(r'class="unchanged">([^<]*)<', text) == unchanged
    assert any(line.text.startswith("+") for one in found.passes for line in one.diff)


@pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())
def test_kernels(found: Exploration) -> None:
    names = {kernel.name for kernel in found.kernels}
    assert {name for sweep in found.sweeps for name in sweep.kernels} == names
    assert all("define " in kernel.text for kernel in found.kernels)


def test_the_sweeps_arrays(found: Exploration) -> None:
    first, second = found.sweeps
    assert first.reads == ("updates",)
    assert set(second.writes) == {"params", "1.0.mu", "1.0.nu"}
    assert set(second.reads) == {"updates", *second.writes}


def test_json_on_the_command_line() -> None:
    data = json.loads(stdout("explore", "sgd(0.1)", "--params", "mlp", "--json"))
    assert data["expression"] == "sgd(0.1)"
    assert data["report"]["bytes_per_parameter"] == 12.0
    assert len(data["sweeps"]) == 1
    assert data["locations"][0].keys() == {"scope", "file", "line", "text"}


@pytest.mark.parametrize("expression", [EXPRESSION, "lamb(1e-3)"])
def test_gpt2_is_small(expression: str, tmp_path: Path) -> None:
    file = tmp_path / "gpt2.html"
    stdout("explore", expression, "--params", "gpt2", "-o", str(file))
    assert file.stat().st_size < 3_000_000
    Reader(file.read_text())


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_script_is_javascript() -> None:
    script = Path(optcc.__file__).parent / "explore" / "page.js"
    subprocess.run(["node", "--check", str(script)], check=True)


def test_numerics_are_asked_for(found: Exploration) -> None:
    assert 'id="numerics"' not in page(found)
    opt = optcc.compile(parse_optimizer("sgd(0.1)"), load_params('{"w": [30, 40], "b": [40]}'))
    numerics = explore(opt, steps=1)
    assert {check.leaf for check in numerics.numerics} == {"params['b']", "params['w']"}
    section = page(numerics).split('id="numerics"')[1]
    assert section.count("<tr>") == 1 + len(numerics.numerics)
    assert "params[&#x27;w&#x27;]" in section
    assert json.loads(numerics.to_json())["numerics"][0]["inputs"]


def test_model_explorer() -> None:
    """Every edge comes from a node that is there; the layers are the sweeps and their maps; results are reached."""
    data = json.loads(stdout("explore", EXPRESSION, "--params", "mlp", "--model-explorer"))
    assert data.keys() == {"label", "graphs"}
    nodes = data["graphs"][0]["nodes"]
    names = [node["id"] for node in nodes]
    assert len(set(names)) == len(names)
    for i, node in enumerate(nodes):
        assert {edge["sourceNodeId"] for edge in node["incomingEdges"]} <= set(names[:i])
    layers = {node["namespace"].split("/")[0] for node in nodes}
    assert len([one for one in layers if one.startswith("sweep")]) == 2
    assert {"params", "updates"} <= {node["label"] for node in nodes if node["namespace"] == "arguments"}
    assert any(node["label"].startswith("fold by") for node in nodes)
    assert len(nodes[-1]["incomingEdges"]) == 4
    places = [a["value"] for node in nodes for a in node["attrs"] if a["key"] == "place"]
    assert "chain[1][0] scale_by_adam" in places
