"""Settings for all tests: CPU, quiet, no state shared between files."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Iterator

import jax
import pytest

from tests import corrected_optax


@pytest.fixture(autouse=True, scope="module")
def _no_executables_left() -> Iterator[None]:
    """Each executable of XLA:CPU holds mappings of memory, of which Linux gives a process 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _exact_step_scalars(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Optax's step-level numbers are further off than the test allows for."""
    if getattr(request.node, "originalname", None) in corrected_optax.TESTS:
        row = request.getfixturevalue("row").name if "row" in request.fixturenames else ""
        corrected_optax.install(monkeypatch, request.module, row)
