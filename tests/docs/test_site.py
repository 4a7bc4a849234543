"""The site's pages have their places, and its plots are those of the measurements."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SITE = Path(__file__).parents[2] / ".ci" / "site"
pytestmark = pytest.mark.skipif(not SITE.exists(), reason="the site is made from a checkout only")


def load(name: str) -> ModuleType:
    """A file of the site as a module."""
    spec = importlib.util.spec_from_file_location(name, SITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_readme_has_the_newest_plot() -> None:
    performance = load("performance")
    assert performance.PLOT.read_text() == performance.cpu_plot()


def test_every_public_name_is_in_the_reference() -> None:
    reference = load("reference")
    pages = reference.reference_pages()
    names = reference.public_names(reference.ROOT / "optcc" / "__init__.py")
    text = "".join(pages.values())
    import optcc

    missing = [n for n in names if callable(getattr(optcc, n)) and f"## `{n}`" not in text]
    assert not missing
    assert "<function" not in text
    assert len(names) > 200


def test_sections_of_docstrings_become_lists() -> None:
    reference = load("reference")
    text = reference.markdown_of("Do it::\n\n    x\n\nArgs:\n  a: one.\n  b: two,\n    and more.\n\nC1  no\n")
    assert "**Args**" in text
    assert "- `a`: one.\n- `b`: two,\n    and more." in text
    assert text.startswith("Do it:\n\n    x")
    assert text.count("```") % 2 == 0
