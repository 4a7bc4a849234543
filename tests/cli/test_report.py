"""`CompiledOptimizer.report` and `optcc report`: as data, as JSON, as HTML and as text, with XLA and without."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import jax.numpy as jnp
import optax
import pytest

import optcc
from optcc.runtime.optimizer import CompiledOptimizer
from tests.cli.calls import EXPRESSION, TINY, error, optcc_, stdout

PARAMS = {"w": jnp.ones((3, 4)), "b": jnp.ones(4)}
CHAIN = optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-3, mu_dtype="bfloat16"))


@pytest.fixture(scope="module")
def opt() -> CompiledOptimizer:
    return optcc.compile(CHAIN, PARAMS)


def test_fields(opt: CompiledOptimizer) -> None:
    report = opt.report()
    first, second = report.sweeps
    assert (first.read, first.written, first.waits_for) == (64, 0, ())
    assert second.waits_for == ("a reduction over the whole tree",)
    assert (second.read, second.written) == (16 * (4 + 4 + 4 + 2), 16 * (4 + 4 + 2))
    assert {sweep.backend for sweep in report.sweeps} == {"native"}
    assert report.bytes_per_parameter == 4 + 14 + 10
    assert report.floor_per_parameter == 24
    assert report.executable is not None
    assert report.executable.aliased == report.executable.donated == 4 + 16 * 10


def test_every_array_has_its_dtype_and_bytes(opt: CompiledOptimizer) -> None:
    found = {a.name: (a.role, a.dtype, a.leaves, a.bytes) for a in opt.report(xla=False).arrays}
    assert found == {
        "updates": ("updates", "float32", 2, 64),
        "params": ("params", "float32", 2, 64),
        "1.0.count": ("state", "int32", 1, 4),
        "1.0.mu": ("state", "bfloat16", 2, 32),
        "1.0.nu": ("state", "float32", 2, 64),
    }


def test_nothing_is_compiled_without_xla(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = optcc.compile(CHAIN, PARAMS)
    monkeypatch.setattr(type(fresh), "lowered", property(lambda self: pytest.fail("lowered")))
    monkeypatch.setattr(type(fresh), "executable", property(lambda self: pytest.fail("compiled by XLA")))
    report = fresh.report(xla=False)
    assert report.executable is None
    assert "note: made without XLA" in str(report)
    assert "kernels:" not in str(report)


def test_json_is_the_dictionary(opt: CompiledOptimizer) -> None:
    report = opt.report()
    assert json.loads(report.to_json()) == report.as_dict()
    assert report.as_dict()["bytes_per_parameter"] == report.bytes_per_parameter
    assert set(report.versions) >= {"optcc", "jax", "jaxlib", "xdsl", "llvm", "python"}


def test_opaque_calls_have_a_reason_and_leave_no_figure() -> None:
    foreign: Any = optax.stateless_with_tree_map(lambda g, _: jnp.cumsum(g) * 1.0)
    report = optcc.compile(foreign, {"w": jnp.ones(4)}).report(xla=False)
    (call,) = report.opaque
    assert "cumsum" in call.why
    assert report.bytes_per_parameter is None
    assert report.as_dict()["floor_per_parameter"] is None
    assert "not known" in report._repr_html_()


def test_html_is_well_formed(opt: CompiledOptimizer) -> None:
    opened: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    text = opt.report()._repr_html_()
    Checker().feed(text)
    assert not opened
    assert "<td>bfloat16</td>" in text


def test_repr_of_an_optimizer(opt: CompiledOptimizer) -> None:
    assert re.fullmatch(
        r"<CompiledOptimizer of chain\(clip_by_global_norm, .*scale_by_adam.*\): 16 parameters in 2 leaves, "
        r"backend='auto', layout='tree'>",
        repr(opt),
    )
    assert "of a module" in repr(optcc.compile_module(opt.ir(), PARAMS))


def test_command_line_json() -> None:
    found = json.loads(stdout("report", EXPRESSION, "--params", TINY, "--json", "--backend", "stablehlo"))
    assert [sweep["why"] for sweep in found["sweeps"]] == ["it was asked for"] * len(found["sweeps"])
    assert found["executable"]["kernels"] > 0
    without = json.loads(stdout("report", EXPRESSION, "--params", TINY, "--json", "--no-xla"))
    assert without["executable"] is None
    assert without["moved"] == found["moved"]


def test_emit_init() -> None:
    text = stdout("compile", EXPRESSION, "--params", TINY, "--emit", "init")
    assert "func.func @init" in text
    assert "@update" not in text
    assert optcc_("opt", "-", stdin=text).exit_code == 0


def test_hyper_changes_a_step() -> None:
    plain = stdout("run", "sgd(0.1)", "--params", TINY, "--steps", "1")
    same = stdout("run", "sgd(0.3)", "--params", TINY, "--steps", "1", "--hyper", "1.learning_rate=0.1")
    assert same == plain
    assert stdout("run", "sgd(0.3)", "--params", TINY, "--steps", "1") != plain


@pytest.mark.parametrize(
    ("given", "expected"), [("rate=1", "rate"), ("learning_rate", "'learning_rate' is no number"), ("a=b", "'b' is no")]
)
def test_bad_hyper(given: str, expected: str) -> None:
    assert expected in error("run", "sgd(0.3)", "--params", TINY, "--hyper", given)


def test_each_leaf_set_has_its_rate_and_decay() -> None:
    labels = {"w": "slow", "b": "fast"}
    tx = optcc.chain(
        optcc.add_decayed_weights(0.5, mask={"w": True, "b": False}),
        optcc.partition({"slow": optcc.sgd(0.01), "fast": optcc.sgd(0.1)}, labels),
    )
    report = optcc.compile(tx, PARAMS).report(xla=False)
    by_leaves = {tuple(g.hyperparameters.values()) for g in report.groups}
    assert by_leaves == {(0.5, 0.01), (0.1,)}
    assert re.search(r"0.weight_decay = 0.5, 1.slow.learning_rate = 0.01$", str(report), re.MULTILINE)
    assert [phase.name for phase in report.phases]


def test_cache_key_is_of_the_module(opt: CompiledOptimizer) -> None:
    key = opt.report(xla=False).cache_key
    assert key == optcc.compile(CHAIN, PARAMS).report(xla=False).cache_key
    assert key != optcc.compile(optcc.sgd(0.1), PARAMS).report(xla=False).cache_key


def test_measure() -> None:
    text = stdout("report", "adamw(1e-3)", "--params", "mlp", "--no-xla", "--measure")
    assert re.search(r"^measured: +[0-9.e+-]+ ms a step \(", text, re.MULTILINE)
    data = json.loads(stdout("report", "adamw(1e-3)", "--params", "mlp", "--no-xla", "--measure", "--json"))
    found = data["measured"]
    assert found["bytes_per_second"] == pytest.approx(data["moved"] / found["seconds"])
    assert found["low"] <= found["seconds"] <= found["high"]
    assert (found["of_limit"] is None) == bool(found["why_no_limit"])
