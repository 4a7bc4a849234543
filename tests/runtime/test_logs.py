"""`OPTCC_LOGS`: what is said on standard error, and that nothing is without it."""

from __future__ import annotations

import re
from typing import Any

import jax.numpy as jnp
import optax
import pytest

import optcc

FOREIGN: Any = optax.stateless_with_tree_map(lambda g, _: jnp.cumsum(g) * 1.0)


def step(tx: Any, size: int, **options: Any) -> None:
    params = {"w": jnp.ones(size)}
    opt = optcc.compile(tx, params, **options)
    opt.step(params, opt.init(params), params, donate=False)


def test_nothing_is_said(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("OPTCC_LOGS", raising=False)
    step(optcc.chain(FOREIGN, optcc.sgd(0.1)), 3, backend="stablehlo")
    assert "optcc" not in capfd.readouterr().err


def test_opaque(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPTCC_LOGS", "opaque")
    step(optcc.chain(FOREIGN, optcc.sgd(0.1)), 5)
    text = capfd.readouterr().err
    assert re.search(r"^optcc opaque: .*update in chain\[0\].*cumsum", text, re.MULTILINE)
    assert "optcc recompile" not in text


def test_backend_and_recompile(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPTCC_LOGS", "backend, recompile")
    step(optcc.sgd(0.1), 1231, backend="stablehlo")
    lines = capfd.readouterr().err.splitlines()
    assert "optcc backend: sweep 0 of @update runs as stablehlo: it was asked for" in lines
    assert any(re.match(r"optcc recompile: @update for cpu, \d arrays: .*f(loat)?32\[1231\]", line) for line in lines)
    step(optcc.sgd(0.3), 1231, backend="stablehlo")
    assert not capfd.readouterr().err, "the same step with other numbers is compiled already"


def test_unknown_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTCC_LOGS", "opaqe")
    with pytest.raises(ValueError, match=r"unknown topic 'opaqe'\n.*OPTCC_LOGS\n.*did you mean 'opaque'"):
        step(optcc.chain(FOREIGN, optcc.sgd(0.1)), 7)
