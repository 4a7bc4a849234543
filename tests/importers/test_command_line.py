"""Pairs of other libraries in expressions: `module:function(...)` at every stage, and in reports."""

from __future__ import annotations

import pytest

from tests.cli.calls import stdout


@pytest.mark.parametrize("stage", ["optim", "sweeps", "stablehlo"])
def test_a_foreign_pair_within_a_chain(stage: str) -> None:
    text = stdout("compile", "chain(clip(1.0), optax:lion(1e-3))", "--params", '{"w": [8, 8]}', "--emit", stage)
    assert "optim.call" not in text
    assert {"optim": 'optim.hyper "1.literal.0"', "sweeps": "optim.sweep", "stablehlo": "module @"}[stage] in text


def test_the_report_of_a_handwritten_pair() -> None:
    text = stdout("report", "tests.importers.handwritten:cautious(0.1)", "--params", '{"w": [8, 8]}')
    assert "bytes/parameter: 28.0" in text
    assert "opaque" not in text


def test_the_report_names_what_is_called() -> None:
    text = stdout("report", "optax.contrib:muon(1e-3)", "--params", '{"w": [8, 4]}')
    assert "bytes/parameter: not known" in text
    assert "was not imported: scan(float32[3]" in text
