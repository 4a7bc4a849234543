"""Distributions and modules on the path, for as long as a test runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optcc import plugins
from tests.plugins.given import TRANSFORM, Install


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution on the path: its name, its entry points as text, and its modules."""

    def put(name: str, entry_points: str, **modules: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entry_points)
        for module, text in modules.items():
            (tmp_path / f"{module}.py").write_text(text)

    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    plugins._installed.cache_clear()
    yield put
    plugins._installed.cache_clear()
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


@pytest.fixture
def mytx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, install: Install) -> Any:
    """A module of the user, in the current directory only."""
    folder = tmp_path / "here"
    (folder / "mypackage").mkdir(parents=True)
    (folder / "mytx.py").write_text(TRANSFORM)
    (folder / "mypackage" / "__init__.py").write_text("")
    (folder / "mypackage" / "inner.py").write_text("from mytx import *\n\nclass names:\n    nested = half\n")
    (folder / "failing.py").write_text("\n\n1 / 0\n")
    monkeypatch.chdir(folder)
    yield
    for name in ("mytx", "mypackage", "mypackage.inner", "failing"):
        sys.modules.pop(name, None)
